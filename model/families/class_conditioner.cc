#include "model/families/class_conditioner.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace stepcast::model {

Conditioning ClassConditioner::Encode(const std::vector<ConditioningInput>& inputs) const {
  at::Tensor labels = at::empty({static_cast<int64_t>(inputs.size())}, at::kLong);
  int64_t* at = labels.mutable_data_ptr<int64_t>();
  for (const ConditioningInput& input : inputs) {
    const int64_t label = input.class_index.value_or(null_class_);
    // The table is read without a check on some devices.
    TORCH_CHECK_VALUE(label >= 0 && label < num_classes_, "class ", label, " is outside 0..", num_classes_ - 1);
    *at++ = label;
  }
  Conditioning conditioning;
  conditioning.class_labels = labels.to(device_);
  return conditioning;
}

}  // namespace stepcast::model

#include "model/text_encoder/dual_text_conditioner.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace stepcast::model {

int64_t DualTextConditioner::vocab_size() const {
  return std::min(first_.config().vocab_size, second_.config().vocab_size);
}

at::Tensor DualTextConditioner::Ids(const std::vector<ConditioningInput>& inputs, size_t encoder) const {
  const size_t length = inputs.front().token_ids.front().size();
  at::Tensor ids = at::empty({static_cast<int64_t>(inputs.size()), static_cast<int64_t>(length)}, at::kLong);
  int64_t* at = ids.mutable_data_ptr<int64_t>();
  for (const ConditioningInput& input : inputs) {
    TORCH_CHECK_VALUE(input.token_ids.size() == 2 && input.token_ids[encoder].size() == length, "two lists of ", length,
                      " tokens per prompt are needed");
    for (const int32_t id : input.token_ids[encoder]) {
      // embedding() reads without a check on some devices.
      TORCH_CHECK_VALUE(id >= 0 && id < vocab_size(), "token ", id, " is outside the vocabulary of ", vocab_size());
      *at++ = id;
    }
  }
  return ids.to(device_);
}

at::Tensor DualTextConditioner::SizeIds(const std::vector<ConditioningInput>& inputs, c10::ScalarType dtype) const {
  const size_t count = inputs.front().size_ids.size();
  at::Tensor ids = at::empty({static_cast<int64_t>(inputs.size()), static_cast<int64_t>(count)}, at::kFloat);
  float* at = ids.mutable_data_ptr<float>();
  for (const ConditioningInput& input : inputs) {
    TORCH_CHECK_VALUE(input.size_ids.size() == count, "prompts of one forward must have equally many size ids");
    at = std::ranges::copy(input.size_ids, at).out;
  }
  // The pipelines round them to the embeddings' type before the sinusoid reads them.
  return ids.to(dtype).to(device_);
}

Conditioning DualTextConditioner::Encode(const std::vector<ConditioningInput>& inputs) const {
  TORCH_CHECK_VALUE(!inputs.empty() && !inputs.front().token_ids.empty(), "nothing to encode");
  const auto length = static_cast<int64_t>(inputs.front().token_ids.front().size());
  const int64_t positions = std::min(first_.config().max_position_embeddings, second_.config().max_position_embeddings);
  TORCH_CHECK_VALUE(length >= 1 && length <= positions, "a prompt has 1..", positions, " tokens, got ", length);
  const int64_t clip_skip = inputs.front().clip_skip;
  const int64_t layers = std::min(first_.config().num_hidden_layers, second_.config().num_hidden_layers);
  TORCH_CHECK_VALUE(clip_skip >= 0 && clip_skip < layers, "clip_skip must be 0..", layers - 1, ", got ", clip_skip);
  for (const ConditioningInput& input : inputs) {
    TORCH_CHECK_VALUE(input.clip_skip == clip_skip, "prompts of one forward must share clip_skip");
  }
  const int64_t skip = clip_skip + 1;
  const at::Tensor second_ids = Ids(inputs, 1);
  const at::Tensor first = first_.HiddenStates(Ids(inputs, 0), skip);
  const at::Tensor second = second_.HiddenStates(second_ids, skip);

  Conditioning conditioning;
  conditioning.prompt_embeds = at::cat({first, second}, 2);
  conditioning.text_embeds = second_.Pooled(second_.FinalNorm(second_.LastLayers(second, skip)), second_ids);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].zero) continue;
    conditioning.prompt_embeds.select(0, static_cast<int64_t>(i)).zero_();
    conditioning.text_embeds.select(0, static_cast<int64_t>(i)).zero_();
  }
  conditioning.time_ids = SizeIds(inputs, conditioning.prompt_embeds.scalar_type());
  return conditioning;
}

}  // namespace stepcast::model

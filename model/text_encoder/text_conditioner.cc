#include "model/text_encoder/text_conditioner.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace stepcast::model {

Conditioning TextConditioner::Encode(const std::vector<ConditioningInput>& inputs) const {
  TORCH_CHECK_VALUE(!inputs.empty() && !inputs.front().token_ids.empty(), "nothing to encode");
  const auto rows = static_cast<int64_t>(inputs.size());
  const auto length = static_cast<int64_t>(inputs.front().token_ids.front().size());
  const int64_t skip = inputs.front().clip_skip;
  TORCH_CHECK_VALUE(length >= 1 && length <= encoder_.config().max_position_embeddings, "a prompt has 1..",
                    encoder_.config().max_position_embeddings, " tokens, got ", length);
  TORCH_CHECK_VALUE(skip >= 0 && skip < encoder_.config().num_hidden_layers, "clip_skip must be 0..",
                    encoder_.config().num_hidden_layers - 1, ", got ", skip);
  at::Tensor ids = at::empty({rows, length}, at::kLong);
  int64_t* at = ids.mutable_data_ptr<int64_t>();
  for (const ConditioningInput& input : inputs) {
    TORCH_CHECK_VALUE(input.clip_skip == skip, "prompts of one forward must share clip_skip");
    TORCH_CHECK_VALUE(input.token_ids.size() == 1 && input.token_ids.front().size() == static_cast<size_t>(length),
                      "one list of ", length, " tokens per prompt is needed");
    for (const int32_t id : input.token_ids.front()) {
      // embedding() reads without a check on some devices.
      TORCH_CHECK_VALUE(id >= 0 && id < vocab_size(), "token ", id, " is outside the vocabulary of ", vocab_size());
      *at++ = id;
    }
  }
  Conditioning conditioning;
  conditioning.prompt_embeds = encoder_.FinalNorm(encoder_.HiddenStates(ids.to(device_), skip));
  return conditioning;
}

}  // namespace stepcast::model

#include "model/text_encoder/sdxl_text_conditioner.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace stepcast::model {

int64_t SdxlTextConditioner::Shared(int64_t ClipTextConfig::* limit) const {
  int64_t smallest = towers_.front()->config().*limit;
  for (const auto& tower : towers_) smallest = std::min(smallest, tower->config().*limit);
  return smallest;
}

int64_t SdxlTextConditioner::vocab_size() const { return Shared(&ClipTextConfig::vocab_size); }

void SdxlTextConditioner::Check(const std::vector<ConditioningInput>& inputs) const {
  TORCH_CHECK_VALUE(!inputs.empty() && !inputs.front().token_ids.empty(), "nothing to encode");
  const auto length = static_cast<int64_t>(inputs.front().token_ids.front().size());
  const int64_t positions = Shared(&ClipTextConfig::max_position_embeddings);
  TORCH_CHECK_VALUE(length >= 1 && length <= positions, "a prompt has 1..", positions, " tokens, got ", length);
  const int64_t clip_skip = inputs.front().clip_skip;
  const int64_t layers = Shared(&ClipTextConfig::num_hidden_layers);
  TORCH_CHECK_VALUE(clip_skip >= 0 && clip_skip < layers, "clip_skip must be 0..", layers - 1, ", got ", clip_skip);
  for (const ConditioningInput& input : inputs) {
    TORCH_CHECK_VALUE(input.clip_skip == clip_skip, "prompts of one forward must share clip_skip");
  }
}

at::Tensor SdxlTextConditioner::Ids(const std::vector<ConditioningInput>& inputs, size_t tower) const {
  const size_t length = inputs.front().token_ids.front().size();
  at::Tensor ids = at::empty({static_cast<int64_t>(inputs.size()), static_cast<int64_t>(length)}, at::kLong);
  int64_t* at = ids.mutable_data_ptr<int64_t>();
  for (const ConditioningInput& input : inputs) {
    TORCH_CHECK_VALUE(input.token_ids.size() == towers_.size() && input.token_ids[tower].size() == length,
                      towers_.size(), " lists of ", length, " tokens per prompt are needed");
    for (const int32_t id : input.token_ids[tower]) {
      // embedding() reads without a check on some devices.
      TORCH_CHECK_VALUE(id >= 0 && id < vocab_size(), "token ", id, " is outside the vocabulary of ", vocab_size());
      *at++ = id;
    }
  }
  return ids.to(device_);
}

at::Tensor SdxlTextConditioner::SizeIds(const std::vector<ConditioningInput>& inputs, c10::ScalarType dtype) const {
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

Conditioning SdxlTextConditioner::Encode(const std::vector<ConditioningInput>& inputs) const {
  Check(inputs);
  const int64_t skip = inputs.front().clip_skip + 1;
  std::vector<at::Tensor> states;
  at::Tensor ids;
  for (size_t tower = 0; tower < towers_.size(); ++tower) {
    ids = Ids(inputs, tower);
    states.push_back(towers_[tower]->HiddenStates(ids, skip));
  }
  const ClipTextModel& last = *towers_.back();

  Conditioning conditioning;
  conditioning.prompt_embeds = at::cat(states, 2);
  conditioning.text_embeds = last.Pooled(last.FinalNorm(last.LastLayers(states.back(), skip)), ids);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].zero) continue;
    conditioning.prompt_embeds.select(0, static_cast<int64_t>(i)).zero_();
    conditioning.text_embeds.select(0, static_cast<int64_t>(i)).zero_();
  }
  conditioning.time_ids = SizeIds(inputs, conditioning.prompt_embeds.scalar_type());
  return conditioning;
}

}  // namespace stepcast::model

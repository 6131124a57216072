#include "model/text_encoder/sdxl_text_conditioner.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include "model/text_encoder/tower_input.h"

namespace stepcast::model {

int64_t SdxlTextConditioner::Shared(int64_t ClipTextConfig::* limit) const {
  int64_t smallest = towers_.front()->config().*limit;
  for (const auto& tower : towers_) smallest = std::min(smallest, tower->config().*limit);
  return smallest;
}

int64_t SdxlTextConditioner::vocab_size() const { return Shared(&ClipTextConfig::vocab_size); }

namespace {

at::Tensor EveryNth(const at::Tensor& rows, int64_t n) {
  return n == 1 ? rows : rows.unflatten(0, {-1, n}).select(1, 0);
}

}  // namespace

LoraTargets SdxlTextConditioner::lora_targets() const {
  // A refiner has the second tower alone.
  if (towers_.size() == 1) return {towers_.front()->lora_network("text_encoder_2")};
  return {towers_[0]->lora_network("text_encoder"), towers_[1]->lora_network("text_encoder_2")};
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
  std::vector<TowerInput> read;
  for (size_t tower = 0; tower < towers_.size(); ++tower) {
    read.push_back(ReadTower(inputs, tower, towers_.size(), towers_[tower]->config()));
    read.back().ids = read.back().ids.to(device_);
  }
  const int64_t skip = inputs.front().clip_skip + 1;
  const int chunks = inputs.front().text.chunks;
  std::vector<at::Tensor> states;
  at::Tensor plain;
  for (size_t tower = 0; tower < towers_.size(); ++tower) {
    plain = towers_[tower]->HiddenStates(read[tower], skip);
    states.push_back(WithWeights(plain, inputs, tower));
  }
  const ClipTextModel& last = *towers_.back();

  Conditioning conditioning;
  conditioning.prompt_embeds = JoinChunks(at::cat(states, 2), chunks);
  // Of each prompt's first chunk, whatever its words weigh.
  const std::unique_ptr<const RowAdapters> adapters = TowerAdapters(inputs, towers_.size() - 1, /*rows_each=*/1);
  const at::Tensor state = last.FinalNorm(last.LastLayers(EveryNth(plain, chunks), skip, adapters.get()));
  conditioning.text_embeds = last.Pooled(state, EveryNth(read.back().ids, chunks), adapters.get());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].zero) continue;
    conditioning.prompt_embeds.select(0, static_cast<int64_t>(i)).zero_();
    conditioning.text_embeds.select(0, static_cast<int64_t>(i)).zero_();
  }
  conditioning.time_ids = SizeIds(inputs, conditioning.prompt_embeds.scalar_type());
  return conditioning;
}

}  // namespace stepcast::model

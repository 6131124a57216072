#include "model/text_encoder/text_conditioner.h"

#include "model/text_encoder/tower_input.h"

namespace stepcast::model {

Conditioning TextConditioner::Encode(const std::vector<ConditioningInput>& inputs) const {
  TowerInput read = ReadTower(inputs, 0, 1, encoder_.config());
  read.ids = read.ids.to(device_);
  const at::Tensor states = encoder_.FinalNorm(encoder_.HiddenStates(read, inputs.front().clip_skip));
  Conditioning conditioning;
  conditioning.prompt_embeds = JoinChunks(WithWeights(states, inputs, 0), inputs.front().text.chunks);
  return conditioning;
}

}  // namespace stepcast::model

#pragma once
// Prompts to conditioning, as the Stable Diffusion 1 and 2 pipelines take it.

#include <memory>
#include <vector>

#include "model/conditioner.h"
#include "model/text_encoder/clip_text_model.h"

namespace stepcast::model {

// One CLIP text tower; prompt_embeds are its last hidden state after the final norm. With clip_skip n, the last n
// layers are left out and the final norm is kept.
//
// Immutable; const methods only, no threads.
class TextConditioner final : public Conditioner {
 public:
  TextConditioner(ClipTextModel encoder, c10::Device device) : encoder_(std::move(encoder)), device_(device) {}

  Conditioning Encode(const std::vector<ConditioningInput>& inputs) const override;
  int64_t vocab_size() const override { return encoder_.config().vocab_size; }
  LoraTargets lora_targets() const override { return {encoder_.lora_network("text_encoder")}; }

 private:
  ClipTextModel encoder_;
  c10::Device device_;
};

}  // namespace stepcast::model

#pragma once
// Prompts to conditioning, as the Stable Diffusion XL pipelines take it (Podell et al. 2023).

#include <memory>
#include <utility>
#include <vector>

#include <c10/core/Device.h>

#include "model/conditioner.h"
#include "model/text_encoder/clip_text_model.h"

namespace stepcast::model {

// Two CLIP text towers, or in a refiner one. prompt_embeds: the states before the last layer of all towers, without the
// final norm, side by side; text_embeds: the last tower's pooled and projected state, of a prompt's first chunk and
// without weights; time_ids: the row's size ids.
// With clip_skip n, n layers more are left out of prompt_embeds, down to the token embeddings themselves; text_embeds
// always pass all layers.
//
// Immutable; const methods only, no threads.
class SdxlTextConditioner final : public Conditioner {
 public:
  // REQUIRES: one tower or two; the last has a projection.
  SdxlTextConditioner(std::vector<std::shared_ptr<const ClipTextModel>> towers, c10::Device device)
      : towers_(std::move(towers)), device_(device) {}

  // REQUIRES, beyond the base class: as many token lists per row as towers, all of one length; equally many size ids in
  // all rows.
  Conditioning Encode(const std::vector<ConditioningInput>& inputs) const override;
  // What all towers know.
  int64_t vocab_size() const override;
  LoraTargets lora_targets() const override;

 private:
  int64_t Shared(int64_t ClipTextConfig::* limit) const;  // the smallest of the towers'
  at::Tensor SizeIds(const std::vector<ConditioningInput>& inputs, c10::ScalarType dtype) const;

  std::vector<std::shared_ptr<const ClipTextModel>> towers_;  // other models may have them too
  c10::Device device_;
};

}  // namespace stepcast::model

#pragma once
// Prompts to conditioning, as the Stable Diffusion XL pipelines take it (Podell et al. 2023).

#include <utility>
#include <vector>

#include <c10/core/Device.h>

#include "model/conditioner.h"
#include "model/text_encoder/clip_text_model.h"

namespace stepcast::model {

// Two CLIP text towers. prompt_embeds: the states before the last layer of both, without the final norm, side by side;
// text_embeds: the second tower's pooled and projected state; time_ids: the row's size ids. With clip_skip n, n layers
// more are left out of prompt_embeds, down to the token embeddings themselves; text_embeds always pass all layers.
//
// Immutable; const methods only, no threads.
class DualTextConditioner final : public Conditioner {
 public:
  // REQUIRES: `second` has a projection.
  DualTextConditioner(ClipTextModel first, ClipTextModel second, c10::Device device)
      : first_(std::move(first)), second_(std::move(second)), device_(device) {}

  // REQUIRES, beyond the base class: two token lists of one length per row, equally many size ids in all rows.
  Conditioning Encode(const std::vector<ConditioningInput>& inputs) const override;
  // What both towers know.
  int64_t vocab_size() const override;

 private:
  at::Tensor Ids(const std::vector<ConditioningInput>& inputs, size_t encoder) const;
  at::Tensor SizeIds(const std::vector<ConditioningInput>& inputs, c10::ScalarType dtype) const;

  ClipTextModel first_;
  ClipTextModel second_;
  c10::Device device_;
};

}  // namespace stepcast::model

#pragma once
// What tells the denoiser which picture to paint: text encoders, class tables, nothing.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/lora_targets.h"
#include "core/prompt_tokens.h"
#include "model/lora/row_adapters.h"

namespace stepcast::model {

// What ControlNets add to the states of a U-Net, for those rows of a forward that have it.
struct RowResiduals {
  std::vector<int64_t> rows;     // of the forward, ascending
  std::vector<at::Tensor> down;  // to each state that the way down keeps, [rows.size(), C, h, w] or [.., C, 1, 1]
  at::Tensor mid;                // to the middle's
};

// Conditioning of some rows. Undefined tensors: the model has no such input.
struct Conditioning {
  at::Tensor prompt_embeds;    // [R, L, D] in the text encoders' dtype
  at::Tensor text_mask;        // [R, L] 0, or -inf where a row's text has ended; undefined: all are L long
  at::Tensor text_embeds;      // [R, P] pooled (SDXL)
  at::Tensor time_ids;         // [R, K] (SDXL)
  at::Tensor class_labels;     // [R] int64
  at::Tensor prepared_text;    // [R, L, *] what Denoiser::Prepare made of prompt_embeds, in a form of its own
  at::Tensor guidance_scales;  // [R] float32, for models that are told the scale (LCM) instead of being guided
  std::vector<RowResiduals> residuals = {};               // of U-Nets that read text
  std::shared_ptr<const RowAdapters> adapters = nullptr;  // as residuals; null: no row has any
};

// A LoRA in the text encoders of a row. `key` tells it from all others.
struct TextAdapter {
  std::string key;
  float scale = 1.0f;
  std::vector<std::shared_ptr<const NetworkAdapter>> towers = {};  // of each text encoder; null: unchanged

  friend bool operator==(const TextAdapter& a, const TextAdapter& b) { return a.key == b.key && a.scale == b.scale; }

  template <typename H>
  friend H AbslHashValue(H h, const TextAdapter& adapter) {
    return H::combine(std::move(h), adapter.key, adapter.scale);
  }
};

// What one row is to show: a prompt, ready for the text encoders, or a class. As stepcast::ConditioningInput says it.
struct ConditioningInput {
  PromptTokens text = {};
  int clip_skip = 0;
  std::optional<int> class_index = std::nullopt;
  std::vector<float> size_ids = {};
  bool zero = false;
  std::vector<TextAdapter> adapters = {};

  friend bool operator==(const ConditioningInput&, const ConditioningInput&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const ConditioningInput& input) {
    return H::combine(std::move(h), input.text, input.clip_skip, input.class_index, input.size_ids, input.zero,
                      input.adapters);
  }
};

// The adapters of tower `tower` in a forward with `rows_each` rows for each of `inputs`; null: no row has any.
std::unique_ptr<const RowAdapters> TowerAdapters(const std::vector<ConditioningInput>& inputs, size_t tower,
                                                 int64_t rows_each);

// Immutable; const methods only, no threads.
class Conditioner {
 public:
  virtual ~Conditioner() = default;

  // Encodes rows in one forward. REQUIRES: not empty, ids within the vocabulary, equal clip_skip, equally many chunks.
  // Throws c10::Error; engine/device/torch_guard.h turns it into a Status.
  virtual Conditioning Encode(const std::vector<ConditioningInput>& inputs) const = 0;

  // Ids the encoder accepts: 0 .. vocab_size - 1. 0: it reads no text.
  virtual int64_t vocab_size() const = 0;

  // The layers that ConditioningInput::adapters may change: of each text encoder, in order; empty: it takes none.
  virtual LoraTargets lora_targets() const { return {}; }

  // Whether Encode costs a forward of its own. If not, conditioning is at hand when a job starts.
  virtual bool runs_network() const { return true; }
};

}  // namespace stepcast::model

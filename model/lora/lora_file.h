#pragma once
// A LoRA's file: which layers its tensors speak of, in whose spelling. No tensor data, no torch.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/weights/safetensors.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// One layer's tensors.
struct LoraModule {
  std::string component;  // "unet", "text_encoder", "text_encoder_2"
  std::string layer;      // without the component's prefix: "down_blocks.0.…", or "down_blocks_0_…" where `flat`
  bool flat = false;      // underscores stand for dots
  std::string key;        // as the file has it, for messages
  TensorEntry down = {};  // [r, in], of convolutions [r, in, k, k]
  TensorEntry up = {};    // [out, r]
  std::optional<TensorEntry> mid = {};    // [r, r, k, k], between 1x1 convolutions
  std::optional<TensorEntry> alpha = {};  // one number
  std::optional<double> scaling = {};     // what stands in for alpha / r, where settings say so

  int64_t rank() const { return up.shape.size() > 1 ? up.shape[1] : 0; }
};

struct LoraFile {
  std::shared_ptr<const SafetensorsFile> file;
  std::vector<LoraModule> modules;  // by key; at least one
  int64_t rank = 0;                 // the largest

  bool Changes(absl::string_view component) const;
};

inline constexpr int64_t kMaxLoraRank = 4096;

// Reads names and shapes, in the layouts of kohya's scripts (also with the original names of blocks), of diffusers
// before and since PEFT, and of PEFT. Errors, which name the file: SafetensorsFile::Open's; INVALID_ARGUMENT for what
// is no LoRA of Stable Diffusion, or of a kind that is not read (the kind is named), and for layers whose tensors do
// not go together. `settings`: an adapter_config.json beside it; null: none.
absl::StatusOr<LoraFile> OpenLora(const std::string& path, const nlohmann::json& settings = nullptr);

// What models a file was made for, for people: "Stable Diffusion XL", told by its shapes; "" where they say nothing.
std::string LoraFamily(const LoraFile& file);

// The words that it was trained on, most frequent first, at most ten: of ss_tag_frequency, or modelspec.trigger_phrase.
std::vector<std::string> TriggerWords(const std::map<std::string, std::string>& metadata);

}  // namespace stepcast::model

#include "model/lora/lora_keys.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace stepcast::model {
namespace {

constexpr size_t kShown = 120;  // characters of a name in a message

struct Marker {
  absl::string_view part;
  absl::string_view what;
};

// Other kinds of changes, by a piece of a tensor's name. The first that is found counts.
constexpr Marker kOtherKinds[] = {
    {"dora_scale", "DoRA (dora_scale)"},
    {"lora_magnitude_vector", "DoRA (lora_magnitude_vector)"},
    {"hada_w", "LoHa (hada_*)"},
    {"hada_t", "LoHa (hada_*)"},
    {"lokr_", "LoKr (lokr_*)"},
    {"glora_", "GLoRA"},
    {".a1.weight", "GLoRA"},
    {"oft_blocks", "OFT (oft_*)"},
    {"oft_diag", "OFT (oft_*)"},
    {"oft_r", "OFT (oft_*)"},
    {"boft_", "BOFT (boft_*)"},
    {".on_input", "IA3 (on_input)"},
    {"ia3_l", "IA3 (ia3_l)"},
    {"vera_lambda", "VeRA"},
    {"lora_embedding_", "LoRA of embedding tables (lora_embedding_*)"},
    {"lora_B.bias", "LoRA with biases (lora_B.bias)"},
    {"lora_up.bias", "LoRA with biases (lora_up.bias)"},
    {"image_proj.", "an IP-Adapter"},
    {"controlnet", "a Control-LoRA"},
};

// The same, by how names end.
constexpr Marker kOtherEnds[] = {
    {".diff_b", "a full difference (diff_b)"},
    {".diff", "a full difference (diff)"},
    {".w_norm", "a difference of norms (w_norm)"},
    {".b_norm", "a difference of norms (b_norm)"},
};

// Networks that are not run, by how names begin.
constexpr Marker kOtherModels[] = {
    {"transformer.single_transformer_blocks", "a model of the Flux family"},
    {"lora_unet_double_blocks", "a model of the Flux family"},
    {"lora_unet_single_blocks", "a model of the Flux family"},
    {"double_blocks", "a model of the Flux family"},
    {"single_blocks", "a model of the Flux family"},
    {"lora_unet_joint_blocks", "Stable Diffusion 3"},
    {"joint_blocks", "Stable Diffusion 3"},
    {"lora_te3_", "a model with a T5 text encoder"},
    {"lora_prior_", "Stable Cascade"},
    {"lora_transformer_", "a diffusion transformer"},
    {"transformer.", "a diffusion transformer"},
    {"diffusion_model.blocks.", "a video model"},
};

struct Suffix {
  absl::string_view end;
  LoraRole role;
};
constexpr Suffix kSuffixes[] = {
    {".lora_down.weight", LoraRole::kDown},
    {".lora_up.weight", LoraRole::kUp},
    {".lora_mid.weight", LoraRole::kMid},
    {".lora_A.weight", LoraRole::kDown},
    {".lora_B.weight", LoraRole::kUp},
    {".lora_A.default.weight", LoraRole::kDown},
    {".lora_B.default.weight", LoraRole::kUp},
    {".lora.down.weight", LoraRole::kDown},
    {".lora.up.weight", LoraRole::kUp},
    {".lora_linear_layer.down.weight", LoraRole::kDown},
    {".lora_linear_layer.up.weight", LoraRole::kUp},
    {"_lora.down.weight", LoraRole::kDown},
    {"_lora.up.weight", LoraRole::kUp},
    {".alpha", LoraRole::kAlpha},
};

struct Prefix {
  absl::string_view begin;
  absl::string_view component;
  bool flat;
};
constexpr Prefix kPrefixes[] = {
    {"lora_unet_", "unet", true},
    {"lora_te1_", "text_encoder", true},
    {"lora_te2_", "text_encoder_2", true},
    {"lora_te_", "text_encoder", true},
    {"unet.", "unet", false},
    {"text_encoder_2.", "text_encoder_2", false},
    {"text_encoder.", "text_encoder", false},
    {"model.diffusion_model.", "unet", false},
    {"diffusion_model.", "unet", false},
    {"text_model.", "text_encoder", false},
};

absl::Status Refuse(absl::string_view name, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor ", absl::CHexEscape(name.substr(0, kShown)), " is of ", why, ", which is not read"));
}

// Attention processors of older diffusers: "attn1.processor.to_q_lora" changes "attn1.to_q".
std::string WithoutProcessor(absl::string_view layer, bool text) {
  const size_t dot = layer.rfind('.');
  absl::string_view scope = dot == layer.npos ? absl::string_view() : layer.substr(0, dot);
  absl::string_view last = dot == layer.npos ? layer : layer.substr(dot + 1);
  if (!absl::ConsumeSuffix(&last, "_lora")) return std::string(layer);
  scope = absl::StripSuffix(scope, ".processor");
  if (last == "to_out") return absl::StrCat(scope, text ? ".out_proj" : ".to_out.0");
  if (!text) return absl::StrCat(scope, ".", last);
  return absl::StrCat(scope, ".", absl::StripPrefix(last, "to_"), "_proj");
}

}  // namespace

absl::StatusOr<LoraKey> ParseLoraKey(absl::string_view name) {
  for (const Marker& other : kOtherKinds) {
    if (absl::StrContains(name, other.part)) return Refuse(name, other.what);
  }
  for (const Marker& other : kOtherEnds) {
    if (absl::EndsWith(name, other.part)) return Refuse(name, other.what);
  }
  for (const Marker& other : kOtherModels) {
    if (absl::StartsWith(name, other.part)) return Refuse(name, other.what);
  }
  LoraKey key;
  absl::string_view layer = name;
  bool known = false;
  for (const Suffix& suffix : kSuffixes) {
    if (!absl::ConsumeSuffix(&layer, suffix.end)) continue;
    // What is left of a processor's name tells which of its layers it is.
    key.module = absl::StrCat(layer, absl::StartsWith(suffix.end, "_lora.") ? "_lora" : "");
    key.role = suffix.role;
    known = true;
    break;
  }
  if (!known) return Refuse(name, "no LoRA of a known layout");
  layer = absl::StripPrefix(key.module, "base_model.model.");
  key.component = "unet";  // where nothing says otherwise
  for (const Prefix& prefix : kPrefixes) {
    if (!absl::ConsumePrefix(&layer, prefix.begin)) continue;
    key.component = std::string(prefix.component);
    key.flat = prefix.flat;
    break;
  }
  layer = absl::StripPrefix(layer, "base_model.model.");
  const bool text = key.component != "unet";
  if (text) layer = absl::StripPrefix(layer, key.flat ? "text_model_" : "text_model.");
  key.layer = key.flat ? std::string(layer) : WithoutProcessor(layer, text);
  return key;
}

}  // namespace stepcast::model

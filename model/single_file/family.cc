#include "model/single_file/family.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/single_file/foreign_files.h"
#include "model/single_file/unet_layout.h"

namespace stepcast::model {
namespace {

constexpr int64_t kLatentChannels = 4;
constexpr int64_t kWidthOfSecond = 1024;  // of the text of Stable Diffusion 2
constexpr int64_t kWidthOfXl =
    320;  // channels of the first level of Stable Diffusion XL and what was distilled from it

const char* const kOpenClipAt1 = "conditioner.embedders.1.model.";
const char* const kOpenClipAt0 = "conditioner.embedders.0.model.";
const char* const kClipAt0 = "conditioner.embedders.0.transformer.";
const char* const kClip = "cond_stage_model.transformer.";
const char* const kOpenClip = "cond_stage_model.model.";

std::string Name(absl::string_view rest) { return absl::StrCat(kUNetPrefix, rest); }

absl::Status NotPainted(absl::string_view what, absl::string_view way_out) {
  return absl::InvalidArgumentError(absl::StrCat("this is ", what, ", which is not supported; ", way_out));
}

// Width of the text that the first cross-attention reads; 0: there is none.
int64_t ContextWidth(const TensorListing& tensors) {
  for (const auto& [name, entry] : tensors.tensors()) {
    const bool reads_text = absl::StartsWith(name, kUNetPrefix) && absl::EndsWith(name, "attn2.to_k.weight");
    if (reads_text && entry->shape.size() == 2) return entry->shape[1];
  }
  return 0;
}

// Depths of the attention behind each layer on the way down.
std::vector<int64_t> DownDepths(const TensorListing& tensors) {
  std::vector<int64_t> depths;
  const int64_t blocks = tensors.Count(Name("input_blocks."));
  for (int64_t i = 1; i < blocks; ++i) {
    if (!tensors.Has(Name(absl::StrCat("input_blocks.", i, ".0.in_layers.2.weight")))) continue;
    depths.push_back(tensors.Count(Name(absl::StrCat("input_blocks.", i, ".1.transformer_blocks."))));
  }
  return depths;
}

absl::Status RefuseDistilled(const TensorListing& tensors) {
  struct Known {
    std::vector<int64_t> depths;
    const char* name;
  };
  static const auto& kKnown = *new std::vector<Known>{{{0, 0, 2, 2, 4, 4}, "SSD-1B"},
                                                      {{0, 0, 1, 1, 2, 2}, "Segmind Vega"},
                                                      {{0, 2, 5}, "KOALA 700M"},
                                                      {{0, 2, 6}, "KOALA 1B"}};
  // Their depths mean something in a U-Net of their width only.
  if (tensors.Dim(Name("input_blocks.0.0.weight"), 0) != kWidthOfXl) return absl::OkStatus();
  const std::vector<int64_t> depths = DownDepths(tensors);
  for (const Known& known : kKnown) {
    if (depths != known.depths) continue;
    return NotPainted(absl::StrCat(known.name, ", a distilled Stable Diffusion XL"),
                      "take the model it was distilled from");
  }
  return absl::OkStatus();
}

// Kinds of a family that differ in what the U-Net reads beside the latents.
absl::Status RefuseOtherInputs(const TensorListing& tensors, int64_t context) {
  const int64_t channels = tensors.Dim(Name("input_blocks.0.0.weight"), 1);
  const std::string family = tensors.HasPrefix(kOpenClipAt1) ? "Stable Diffusion XL"
                             : context == kWidthOfSecond     ? "Stable Diffusion 2"
                                                             : "Stable Diffusion 1";
  const char* take_base = "take the model for text to image";
  switch (channels) {
    case kLatentChannels:
    case 2 * kLatentChannels + 1:  // inpainting
    case 2 * kLatentChannels:      // editing by instructions
      return absl::OkStatus();
    case 7:
      return NotPainted(absl::StrCat(family, " for upscaling (7 input channels)"), take_base);
    case 5:
      return NotPainted(absl::StrCat(family, " with depth maps (5 input channels)"), take_base);
    default:
      return NotPainted(absl::StrCat("a U-Net of ", channels, " input channels"), "4, 8 and 9 are");
  }
}

absl::Status RefuseRelatives(const TensorListing& tensors) {
  if (tensors.Has("edm_mean") || tensors.Has("edm_std")) {
    return NotPainted("Playground 2.5 (tensor edm_mean), trained on EDM's noise", "take a Stable Diffusion XL model");
  }
  if (tensors.Has("edm_vpred.sigma_max")) {
    return NotPainted("CosXL (tensor edm_vpred.sigma_max), trained on continuous noise",
                      "take a Stable Diffusion XL model");
  }
  if (tensors.HasPrefix(Name("encoder_hid_proj."))) {
    return NotPainted("Kolors, whose text encoder is the language model ChatGLM3-6B",
                      "take a Stable Diffusion XL model");
  }
  if (tensors.HasPrefix("cond_stage_model.roberta.")) {
    return NotPainted("AltDiffusion, whose text encoder is XLM-RoBERTa", "take a Stable Diffusion 1 model");
  }
  for (const char* part : {"input_blocks.1.0.time_stack.", "input_blocks.1.1.time_stack.",
                           "input_blocks.1.1.temopral_conv.", "input_blocks.1.1.time_mixer."}) {
    if (tensors.HasPrefix(Name(part))) return NotPainted("a video model", "take a model for pictures");
  }
  return absl::OkStatus();
}

FamilyFound Found(CheckpointFamily family, std::vector<TextPlace> texts, absl::string_view source) {
  return {.family = family, .texts = std::move(texts), .source = std::string(source)};
}

}  // namespace

const char* FamilyName(CheckpointFamily family) {
  switch (family) {
    case CheckpointFamily::kStableDiffusion1:
      return "Stable Diffusion 1";
    case CheckpointFamily::kStableDiffusion2:
      return "Stable Diffusion 2";
    case CheckpointFamily::kStableDiffusionXl:
      return "Stable Diffusion XL";
    case CheckpointFamily::kStableDiffusionXlRefiner:
      return "Stable Diffusion XL refiner";
  }
  return "";
}

absl::StatusOr<FamilyFound> DetectFamily(const TensorListing& tensors) {
  if (!tensors.Has(Name("input_blocks.0.0.weight"))) return RefuseForeign(tensors);
  STEPCAST_RETURN_IF_ERROR(RefuseQuantised(tensors));
  const int64_t context = ContextWidth(tensors);
  STEPCAST_RETURN_IF_ERROR(RefuseRelatives(tensors));
  STEPCAST_RETURN_IF_ERROR(RefuseOtherInputs(tensors, context));
  const bool has_vector = tensors.HasPrefix(Name("label_emb."));
  if (tensors.HasPrefix(kOpenClipAt1)) {
    STEPCAST_RETURN_IF_ERROR(RefuseDistilled(tensors));
    if (!tensors.HasPrefix(kClipAt0))
      return NotPainted("a Stable Diffusion XL file without its first text encoder", kClipAt0);
    return Found(CheckpointFamily::kStableDiffusionXl,
                 {{kClipAt0, TextNaming::kClip}, {kOpenClipAt1, TextNaming::kOpenClip}},
                 "two text encoders, conditioner.embedders.0 and .1");
  }
  if (tensors.HasPrefix(kOpenClipAt0) && has_vector) {
    return Found(CheckpointFamily::kStableDiffusionXlRefiner, {{kOpenClipAt0, TextNaming::kOpenClip}},
                 "an OpenCLIP text encoder alone, conditioner.embedders.0.model, and label_emb");
  }
  if (has_vector) {
    return NotPainted(
        "a U-Net that reads a vector beside the text (label_emb), but not Stable Diffusion XL with both its "
        "text encoders",
        "take the whole checkpoint for text to image");
  }
  for (const char* prefix : {kOpenClip, kOpenClipAt0}) {
    if (!tensors.HasPrefix(prefix)) continue;
    return Found(CheckpointFamily::kStableDiffusion2, {{prefix, TextNaming::kOpenClip}},
                 absl::StrCat("an OpenCLIP text encoder, ", prefix, "*; text of ", context, " channels"));
  }
  for (const char* prefix : {kClip, kClipAt0}) {
    if (!tensors.HasPrefix(prefix)) continue;
    return Found(CheckpointFamily::kStableDiffusion1, {{prefix, TextNaming::kClip}},
                 absl::StrCat("a CLIP text encoder, ", prefix, "*; text of ", context, " channels"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "this checkpoint has a U-Net that reads text of ", context,
      " channels, but no text encoder (cond_stage_model.* or conditioner.*): take the full file of the model"));
}

}  // namespace stepcast::model

#include "model/single_file/foreign_files.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace stepcast::model {
namespace {

constexpr absl::string_view kNotBuilt = "this server paints with U-Nets: Stable Diffusion 1, 2 and XL";
constexpr absl::string_view kAdapter =
    "an adapter changes a model and is none: name the checkpoint that it was made for";
constexpr absl::string_view kComponent =
    "one component of a model: point at the folder in diffusers layout that holds model_index.json, or at a whole "
    "checkpoint";

// A piece of a tensor's name that tells what a file is. The first of the table that is found counts.
struct Marker {
  absl::string_view part;
  absl::string_view what;
  absl::string_view way_out;
};

constexpr Marker kMarkers[] = {
    {"lora_unet_", "a LoRA", kAdapter},
    {"lora_te", "a LoRA", kAdapter},
    {".lora_A.", "a LoRA", kAdapter},
    {".lora_down.", "a LoRA", kAdapter},
    {".lora.down.", "a LoRA", kAdapter},
    {"_lora.down.", "a LoRA", kAdapter},
    {".hada_w1_a", "a LoRA of the kind LoHa", kAdapter},
    {".lokr_w1", "a LoRA of the kind LoKr", kAdapter},
    {".dora_scale", "a LoRA of the kind DoRA", kAdapter},
    {"motion_modules.", "a motion module of AnimateDiff", kNotBuilt},
    {"control_model.", "a ControlNet", kAdapter},
    {"controlnet_cond_embedding.", "a ControlNet", kAdapter},
    {"input_hint_block.", "a ControlNet", kAdapter},
    {"ip_adapter.", "an IP-Adapter", kAdapter},
    {"image_proj.", "an IP-Adapter", kAdapter},
    {"adapter.body.", "a T2I-Adapter", kAdapter},
    {"emb_params", "a textual inversion", kAdapter},
    {"double_blocks.", "a model of the Flux family, a transformer", kNotBuilt},
    {"joint_blocks.", "Stable Diffusion 3, a transformer", kNotBuilt},
    {"double_layers.", "AuraFlow, a transformer", kNotBuilt},
    {"clip_txt_mapper.", "Stable Cascade", kNotBuilt},
    {"channelwise.", "Stable Cascade", kNotBuilt},
    {"single_transformer_blocks.", "a model of the Flux family, a transformer", kNotBuilt},
    {"add_q_proj.", "Qwen-Image or Stable Diffusion 3, a transformer", kNotBuilt},
    {"adaln_single.", "PixArt or LTX, a transformer", kNotBuilt},
    {"scale_shift_table", "PixArt or LTX, a transformer", kNotBuilt},
    {"cap_embedder.", "Lumina or Z-Image, a transformer", kNotBuilt},
    {"adaLN_modulation", "a diffusion transformer", kNotBuilt},
    {"blocks.0.cross_attn.", "a diffusion transformer", kNotBuilt},
    {"model.diffusion_model.", "a model of another family than Stable Diffusion", kNotBuilt},
    {"down_blocks.0.", "a U-Net in diffusers layout", kComponent},
    {"input_blocks.0.", "a U-Net alone, without text encoder and autoencoder", kComponent},
    {"decoder.up_blocks.", "an autoencoder", "name it under `vae` of a checkpoint"},
    {"decoder.up.", "an autoencoder", "name it under `vae` of a checkpoint"},
    {"decoder.layers.", "a tiny autoencoder (TAESD)", kComponent},
    {"text_model.", "a text encoder", kComponent},
    {"transformer.resblocks.", "a text encoder", kComponent},
    {"token_embedding", "a text encoder", kComponent},
    {"encoder.block.", "a T5 text encoder", kComponent},
    {"model.layers.", "a language model", kNotBuilt},
    {"RRDB", "an upscaler", kNotBuilt},
    {"conv_first.", "an upscaler", kNotBuilt},
    {"cond_stage_model.", "a text encoder alone", kComponent},
    {"first_stage_model.", "an autoencoder alone", "name it under `vae` of a checkpoint"},
};

// Ends of names that belong to codes and scales.
struct Quantised {
  absl::string_view end;
  absl::string_view what;
};

constexpr Quantised kQuantised[] = {
    {"scaled_fp8", "scaled fp8"},
    {".scale_weight", "scaled fp8"},
    {".scale_input", "scaled fp8"},
    {".weight_scale", "codes with scales"},
    {".comfy_quant", "codes with scales"},
    {".absmax", "4-bit codes (bitsandbytes)"},
    {".quant_map", "4-bit codes (bitsandbytes)"},
    {".SCB", "8-bit codes (bitsandbytes)"},
    {"bitsandbytes__nf4", "4-bit codes (bitsandbytes)"},
    {"bitsandbytes__fp4", "4-bit codes (bitsandbytes)"},
    {".qweight", "codes (GPTQ, AWQ or SVDQuant)"},
    {".qzeros", "codes (GPTQ or AWQ)"},
    {".wscales", "codes (SVDQuant)"},
};

// The end of a file's name, and what such files are.
struct Format {
  absl::string_view ends_with;
  absl::string_view starts_with;  // first bytes; "": not looked at
  absl::string_view what;
};

constexpr absl::string_view kPickle =
    "a pickle, which can run code when it is read; convert it in Python, where you trust it: "
    "safetensors.torch.save_file({k: v.contiguous() for k, v in torch.load(file, "
    "weights_only=True)[\"state_dict\"].items()}, "
    "\"model.safetensors\")";
constexpr absl::string_view kGguf = "GGUF, whose weights are quantised; take the fp16 .safetensors of the model";
constexpr absl::string_view kOnnx = "ONNX; take the .safetensors of the model";

constexpr Format kFormats[] = {
    {".ckpt", "PK\x03\x04", kPickle},
    {".pt", "\x80\x02", kPickle},
    {".pth", "", kPickle},
    {".bin", "", kPickle},
    {".pkl", "", kPickle},
    {".gguf", "GGUF", kGguf},
    {".onnx", "", kOnnx},
};

}  // namespace

absl::Status RefuseForeign(const TensorListing& tensors) {
  if (tensors.tensors().empty()) return absl::InvalidArgumentError("the file holds no tensors");
  for (const Marker& marker : kMarkers) {
    for (const auto& [name, entry] : tensors.tensors()) {
      if (!absl::StrContains(name, marker.part)) continue;
      return absl::InvalidArgumentError(absl::StrCat("this is ", marker.what, " (tensor ",
                                                     absl::CHexEscape(name.substr(0, 120)), "), no checkpoint; ",
                                                     marker.way_out));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("this is no checkpoint of Stable Diffusion: it has no tensor "
                   "model.diffusion_model.input_blocks.0.0.weight; its first is ",
                   absl::CHexEscape(tensors.tensors().begin()->first.substr(0, 120))));
}

absl::Status RefuseQuantised(const TensorListing& tensors) {
  const auto refuse = [](absl::string_view what, absl::string_view name) {
    return absl::InvalidArgumentError(
        absl::StrCat("its weights are stored as ", what, " (tensor ", absl::CHexEscape(name.substr(0, 120)),
                     "), which is not read; take the fp16, bf16 or fp32 file of the same model"));
  };
  for (const auto& [name, entry] : tensors.tensors()) {
    for (const Quantised& kind : kQuantised) {
      if (absl::EndsWith(name, kind.end)) return refuse(kind.what, name);
    }
  }
  for (const auto& [name, entry] : tensors.tensors()) {
    const bool is_matrix = entry->shape.size() >= 2 && absl::EndsWith(name, ".weight");
    if (is_matrix && entry->type == StoredType::kUnread) return refuse(entry->dtype, name);
  }
  return absl::OkStatus();
}

absl::Status RefuseOtherFormats(const std::string& path) {
  std::array<char, 9> head{};
  std::ifstream file;
  std::error_code ignored;
  // Opening a pipe waits for its writer.
  if (std::filesystem::is_regular_file(path, ignored)) file.open(path, std::ios::binary);
  file.read(head.data(), head.size());
  const absl::string_view start(head.data(), static_cast<size_t>(file.gcount()));
  const std::string extension = absl::AsciiStrToLower(std::filesystem::path(path).extension().string());
  // Eight bytes of length and an object: the length may begin like any other format.
  const bool is_safetensors = start.size() == head.size() && start.back() == '{';
  for (const Format& format : kFormats) {
    const bool by_bytes = !is_safetensors && !format.starts_with.empty() && absl::StartsWith(start, format.starts_with);
    if (!by_bytes && extension != format.ends_with) continue;
    return absl::FailedPreconditionError(absl::StrCat(path, " is ", format.what));
  }
  return absl::OkStatus();
}

}  // namespace stepcast::model

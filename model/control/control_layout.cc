#include "model/control/control_layout.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "model/single_file/name_rules.h"
#include "model/single_file/unet_layout.h"

namespace stepcast::model {
namespace {

using nlohmann::json;

constexpr char kDiffusersHint[] = "controlnet_cond_embedding.";
constexpr char kOriginalHint[] = "input_hint_block.";
constexpr const char* kOriginalPrefixes[] = {"control_model.", ""};
constexpr int64_t kTextOfFirst = 768;  // Stable Diffusion 1, the one family that has eight heads everywhere
constexpr int64_t kHeadWidth = 64;     // of the others
constexpr int64_t kHeadsOfFirst = 8;
constexpr int64_t kSizeSinusoid = 256;  // of the published XL models

// Kinds of control that are no ControlNets, by a piece of a tensor's name. The first that is found counts.
struct Marker {
  absl::string_view part;
  absl::string_view what;
};
constexpr Marker kMarkers[] = {
    {"lllite_", "a ControlNet-LLLite"},
    {"lora_controlnet", "a Control-LoRA"},
    {".lora_up.", "a LoRA"},
    {".lora_down.", "a LoRA"},
    {".lora_A.", "a LoRA"},
    {"lora_unet_", "a LoRA"},
    {"motion_modules.", "a SparseCtrl of AnimateDiff"},
    {"adapter.body.", "a T2I-Adapter"},
    {"body.0.block", "a T2I-Adapter"},
    {"body.0.resnets.", "a T2I-Adapter"},
    {"ctrl_to_base", "a ControlNet-XS"},
    {"controlnet_x_embedder.", "a ControlNet of the Flux family"},
    {"double_blocks.", "a ControlNet of the Flux family"},
    {"single_transformer_blocks.", "a ControlNet of the Flux family"},
    {"joint_blocks.", "a ControlNet of Stable Diffusion 3"},
    {"pos_embed_input.", "a ControlNet of Stable Diffusion 3"},
    {"image_proj.", "an IP-Adapter"},
    {"nested_input_hint_block.", "a ControlNet with several embeddings of hints"},
};

absl::Status RefuseOthers(const TensorListing& tensors) {
  // The difference to a base model, which is not at hand.
  if (tensors.Has("difference")) {
    return absl::InvalidArgumentError("this is the difference of a ControlNet to its base model; take the whole net");
  }
  for (const Marker& marker : kMarkers) {
    for (const auto& [name, entry] : tensors.tensors()) {
      if (!absl::StrContains(name, marker.part)) continue;
      return absl::InvalidArgumentError(absl::StrCat("this is ", marker.what, " (tensor ",
                                                     absl::CHexEscape(name.substr(0, 120)),
                                                     "), no ControlNet of Stable Diffusion 1, 2 or XL"));
    }
  }
  return absl::OkStatus();
}

absl::Status Missing(absl::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " is missing"));
}

// Heads of each level, which no tensor tells.
json Heads(const std::vector<int64_t>& channels, int64_t text_width) {
  json heads = json::array();
  for (const int64_t width : channels) {
    heads.push_back(text_width == kTextOfFirst ? kHeadsOfFirst : std::max<int64_t>(1, width / kHeadWidth));
  }
  return heads;
}

// Channels of the embedding of hints, whose convolutions are called `name`(0 .. 2 levels - 1), the last one left out.
template <typename Name>
json HintChannels(const TensorListing& tensors, int64_t convolutions, Name name) {
  json channels = {tensors.Dim(name(0), 0)};
  for (int64_t i = 2; i < convolutions; i += 2) channels.push_back(tensors.Dim(name(i), 0));
  return channels;
}

absl::StatusOr<ControlFile> ReadOriginal(const TensorListing& tensors, const std::string& prefix) {
  STEPCAST_ASSIGN_OR_RETURN(const UNetLayout layout, ReadUNetEncoderLayout(tensors, prefix));
  const int64_t last_hint = tensors.Count(absl::StrCat(prefix, kOriginalHint)) - 1;
  STEPCAST_ASSIGN_OR_RETURN(json config, UNetConfigJson(layout, layout.context_width == kTextOfFirst, 0));
  for (const char* key : {"out_channels", "up_block_types", "sample_size"}) config.erase(key);
  config["_class_name"] = "ControlNetModel";
  config["conditioning_embedding_out_channels"] = HintChannels(tensors, last_hint / 2, [&prefix](int64_t number) {
    return absl::StrCat(prefix, kOriginalHint, 2 * number, ".weight");
  });
  return ControlFile{std::move(config), ControlNames(layout, prefix, last_hint)};
}

// The blocks of the way down, as diffusers names them.
absl::Status ReadLevels(const TensorListing& tensors, json& config) {
  const int64_t levels = tensors.Count("down_blocks.");
  std::vector<int64_t> channels, depths;
  json types = json::array();
  int64_t text_width = 0;
  bool linear = false;
  for (int64_t i = 0; i < levels; ++i) {
    const std::string scope = absl::StrCat("down_blocks.", i, ".");
    const std::string resnet = absl::StrCat(scope, "resnets.0.conv1.weight");
    channels.push_back(tensors.Dim(resnet, 0));
    if (channels.back() == 0) return Missing(resnet);
    const std::string attention = absl::StrCat(scope, "attentions.0.");
    const int64_t depth = tensors.Count(absl::StrCat(attention, "transformer_blocks."));
    depths.push_back(std::max<int64_t>(1, depth));
    types.push_back(depth > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D");
    if (depth == 0) continue;
    text_width = tensors.Dim(absl::StrCat(attention, "transformer_blocks.0.attn2.to_k.weight"), 1);
    const TensorEntry* projection = tensors.Find(absl::StrCat(attention, "proj_in.weight"));
    linear = projection != nullptr && projection->shape.size() == 2;
  }
  if (channels.empty()) return Missing("down_blocks.0.resnets.0.conv1.weight");
  const int64_t mid = tensors.Count("mid_block.attentions.0.transformer_blocks.");
  if (mid > 0) depths.back() = mid;
  config["block_out_channels"] = channels;
  config["down_block_types"] = types;
  config["mid_block_type"] = mid > 0 ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D";
  config["transformer_layers_per_block"] = depths;
  config["layers_per_block"] = tensors.Count("down_blocks.0.resnets.");
  config["cross_attention_dim"] = std::max<int64_t>(1, text_width);
  config["use_linear_projection"] = linear;
  config["attention_head_dim"] = Heads(channels, text_width);
  return absl::OkStatus();
}

void ReadUnion(const TensorListing& tensors, json& config) {
  const int64_t types = tensors.Dim("task_embedding", 0);
  if (types == 0) return;
  const int64_t width = tensors.Dim("task_embedding", 1);
  config["_class_name"] = "ControlNetUnionModel";
  config["num_control_type"] = types;
  config["num_trans_channel"] = config["num_proj_channel"] = width;
  config["num_trans_head"] = 1;  // of no consequence (union_fuser.h)
  config["num_trans_layer"] = tensors.Count("transformer_layes.");
  config["addition_time_embed_dim"] = tensors.Dim("control_add_embedding.linear_1.weight", 1) / types;
}

absl::StatusOr<ControlFile> ReadDiffusers(const TensorListing& tensors) {
  json config = {{"_class_name", "ControlNetModel"}, {"in_channels", tensors.Dim("conv_in.weight", 1)}};
  STEPCAST_RETURN_IF_ERROR(ReadLevels(tensors, config));
  const int64_t vector_width = tensors.Dim("add_embedding.linear_1.weight", 1);
  if (vector_width > 0) {
    config["addition_embed_type"] = "text_time";
    config["addition_time_embed_dim"] = kSizeSinusoid;
    config["projection_class_embeddings_input_dim"] = vector_width;
  }
  ReadUnion(tensors, config);
  const std::string blocks = absl::StrCat(kDiffusersHint, "blocks.");
  config["conditioning_embedding_out_channels"] =
      HintChannels(tensors, tensors.Count(blocks) + 1, [&blocks](int64_t number) {
        return number == 0 ? absl::StrCat(kDiffusersHint, "conv_in.weight")
                           : absl::StrCat(blocks, number - 1, ".weight");
      });
  return ControlFile{std::move(config), SameNames()};
}

}  // namespace

bool LooksLikeControlNet(const TensorListing& tensors) {
  if (tensors.HasPrefix(kDiffusersHint)) return true;
  for (const char* prefix : kOriginalPrefixes) {
    if (tensors.HasPrefix(absl::StrCat(prefix, kOriginalHint))) return true;
  }
  return false;
}

absl::StatusOr<ControlFile> ReadControlFile(const TensorListing& tensors) {
  STEPCAST_RETURN_IF_ERROR(RefuseOthers(tensors));
  if (tensors.HasPrefix(kDiffusersHint)) return ReadDiffusers(tensors);
  for (const char* prefix : kOriginalPrefixes) {
    if (tensors.HasPrefix(absl::StrCat(prefix, kOriginalHint))) return ReadOriginal(tensors, prefix);
  }
  return absl::InvalidArgumentError(
      "this is no ControlNet: it has no tensors controlnet_cond_embedding.* or input_hint_block.*");
}

}  // namespace stepcast::model

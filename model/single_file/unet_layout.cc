#include "model/single_file/unet_layout.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

constexpr int64_t kHeadWidth = 64;
constexpr int64_t kHeadsOfFirst = 8;  // Stable Diffusion 1

// What one block "input_blocks.N" is.
struct Block {
  bool is_resampler = false;
  int64_t channels = 0;
  int64_t depth = 0;
};

// The tensors of one network among those of a file.
class UNetTensors {
 public:
  UNetTensors(const TensorListing& tensors, absl::string_view prefix) : tensors_(tensors), prefix_(prefix) {}

  const TensorEntry* Find(absl::string_view name) const { return tensors_.Find(absl::StrCat(prefix_, name)); }
  bool Has(absl::string_view name) const { return Find(name) != nullptr; }
  bool HasPrefix(absl::string_view rest) const { return tensors_.HasPrefix(absl::StrCat(prefix_, rest)); }
  int64_t Dim(absl::string_view name, size_t axis) const { return tensors_.Dim(absl::StrCat(prefix_, name), axis); }
  int64_t Count(absl::string_view rest) const { return tensors_.Count(absl::StrCat(prefix_, rest)); }
  absl::Status Odd(absl::string_view name, absl::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", prefix_, name, ": ", why));
  }

 private:
  const TensorListing& tensors_;
  const std::string prefix_;
};

// Transformers of a block; 0: no attention.
int64_t DepthOf(const UNetTensors& tensors, absl::string_view attention) {
  return tensors.Count(absl::StrCat(attention, "transformer_blocks."));
}

absl::StatusOr<Block> ReadBlock(const UNetTensors& tensors, const std::string& scope) {
  Block block;
  if (tensors.Has(absl::StrCat(scope, "0.op.weight"))) {
    block.is_resampler = true;
    return block;
  }
  const std::string convolution = absl::StrCat(scope, "0.in_layers.2.weight");
  block.channels = tensors.Dim(convolution, 0);
  if (block.channels == 0) return tensors.Odd(convolution, "is missing, although later blocks are there");
  block.depth = DepthOf(tensors, absl::StrCat(scope, "1."));
  return block;
}

// Appends a resnet to the level that is being read.
absl::Status AddToLevel(const UNetTensors& tensors, const std::string& scope, const Block& block, int64_t layer,
                        UNetLayout& layout) {
  if (layer == 0) {
    layout.channels.push_back(block.channels);
    layout.depths.push_back(block.depth);
  } else if (layout.channels.back() != block.channels || layout.depths.back() != block.depth) {
    return tensors.Odd(
        absl::StrCat(scope, "*"),
        absl::StrCat("has ", block.channels, " channels and ", block.depth, " transformers, but the block before ",
                     layout.channels.back(), " and ", layout.depths.back(), "; levels of mixed blocks are not built"));
  }
  return absl::OkStatus();
}

absl::Status ReadDown(const UNetTensors& tensors, UNetLayout& layout) {
  const int64_t blocks = tensors.Count("input_blocks.");
  int64_t layer = 0;
  for (int64_t i = 1; i < blocks; ++i) {
    const std::string scope = absl::StrCat("input_blocks.", i, ".");
    STEPCAST_ASSIGN_OR_RETURN(const Block block, ReadBlock(tensors, scope));
    if (block.is_resampler && layer == 0)
      return tensors.Odd(absl::StrCat(scope, "0.op.weight"), "stands where a layer should");
    if (!block.is_resampler) STEPCAST_RETURN_IF_ERROR(AddToLevel(tensors, scope, block, layer++, layout));
    if (!block.is_resampler && i + 1 < blocks) continue;
    if (layout.layers_per_block == 0) layout.layers_per_block = layer;
    if (layout.layers_per_block != layer) {
      return tensors.Odd(
          absl::StrCat(scope, "*"),
          absl::StrCat("ends a level of ", layer, " layers, but the first has ", layout.layers_per_block));
    }
    layer = 0;
  }
  if (layout.channels.empty()) return tensors.Odd("input_blocks.1.0.in_layers.2.weight", "is missing");
  return absl::OkStatus();
}

absl::Status ReadUp(const UNetTensors& tensors, UNetLayout& layout) {
  const int64_t each = layout.layers_per_block + 1;
  const auto levels = static_cast<int64_t>(layout.channels.size());
  const int64_t blocks = tensors.Count("output_blocks.");
  if (blocks != each * levels) {
    return tensors.Odd("output_blocks.*",
                       absl::StrCat(blocks, " blocks; ", levels, " levels of ", each, " are needed"));
  }
  layout.up_depths.assign(layout.channels.size(), 0);
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string scope = absl::StrCat("output_blocks.", i, ".");
    int64_t& depth = layout.up_depths[static_cast<size_t>(levels - 1 - i / each)];
    const int64_t found = DepthOf(tensors, absl::StrCat(scope, "1."));
    if (i % each != 0 && found != depth) {
      return tensors.Odd(absl::StrCat(scope, "*"), absl::StrCat("has ", found, " transformers, but the block before ",
                                                                depth, "; levels of mixed blocks are not built"));
    }
    depth = found;
  }
  return absl::OkStatus();
}

// Reads `context_width` and `linear_projection` from the first attention there is.
void ReadAttention(const UNetTensors& tensors, UNetLayout& layout) {
  std::vector<std::string> scopes = {"middle_block.1."};
  for (int64_t i = tensors.Count("input_blocks."); i > 0; --i)
    scopes.push_back(absl::StrCat("input_blocks.", i, ".1."));
  for (const std::string& scope : scopes) {
    if (DepthOf(tensors, scope) == 0) continue;
    layout.context_width = tensors.Dim(absl::StrCat(scope, "transformer_blocks.0.attn2.to_k.weight"), 1);
    const TensorEntry* projection = tensors.Find(absl::StrCat(scope, "proj_in.weight"));
    layout.linear_projection = projection != nullptr && projection->shape.size() == 2;
    return;
  }
}

nlohmann::json Types(const std::vector<int64_t>& depths, const char* with, const char* without) {
  nlohmann::json types = nlohmann::json::array();
  for (const int64_t depth : depths) types.push_back(depth > 0 ? with : without);
  return types;
}

// All but the way up.
absl::Status ReadEncoder(const UNetTensors& tensors, UNetLayout& layout) {
  layout.in_channels = tensors.Dim("input_blocks.0.0.weight", 1);
  STEPCAST_RETURN_IF_ERROR(ReadDown(tensors, layout));
  const bool has_middle = tensors.HasPrefix("middle_block.");
  layout.mid_depth = has_middle ? DepthOf(tensors, "middle_block.1.") : -1;
  ReadAttention(tensors, layout);
  layout.vector_width = tensors.Dim("label_emb.0.0.weight", 1);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UNetLayout> ReadUNetLayout(const TensorListing& listing) {
  const UNetTensors tensors(listing, kUNetPrefix);
  UNetLayout layout;
  layout.out_channels = tensors.Dim("out.2.weight", 0);
  if (layout.out_channels == 0) return tensors.Odd("out.2.weight", "is missing");
  STEPCAST_RETURN_IF_ERROR(ReadEncoder(tensors, layout));
  STEPCAST_RETURN_IF_ERROR(ReadUp(tensors, layout));
  for (const char* scope : {"time_embed.", "time_embedding."}) {
    const int64_t width = tensors.Dim(absl::StrCat(scope, "cond_proj.weight"), 1);
    if (width > 0) layout.guidance_width = width;
  }
  return layout;
}

absl::StatusOr<UNetLayout> ReadUNetEncoderLayout(const TensorListing& listing, absl::string_view prefix) {
  UNetLayout layout;
  STEPCAST_RETURN_IF_ERROR(ReadEncoder(UNetTensors(listing, prefix), layout));
  layout.up_depths = layout.depths;
  return layout;
}

absl::StatusOr<nlohmann::json> UNetConfigJson(const UNetLayout& layout, bool heads_are_eight, int64_t sample_size) {
  std::vector<int64_t> heads;
  for (const int64_t channels : layout.channels) {
    const int64_t divisor = heads_are_eight ? kHeadsOfFirst : kHeadWidth;
    if (channels % divisor != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a U-Net level of ", channels, " channels does not divide into ",
          heads_are_eight ? "8 heads, as Stable Diffusion 1 has" : "heads of 64 channels",
          "; no tensor says how many heads there are: use the folder in diffusers layout, whose config does"));
    }
    heads.push_back(heads_are_eight ? kHeadsOfFirst : channels / kHeadWidth);
  }
  std::vector<int64_t> depths = layout.depths;
  for (int64_t& depth : depths) depth = std::max<int64_t>(depth, 1);
  depths.back() = std::max<int64_t>(layout.mid_depth, 1);
  std::vector<int64_t> up(layout.up_depths.rbegin(), layout.up_depths.rend());
  nlohmann::json config = {{"_class_name", "UNet2DConditionModel"},
                           {"in_channels", layout.in_channels},
                           {"out_channels", layout.out_channels},
                           {"block_out_channels", layout.channels},
                           {"layers_per_block", layout.layers_per_block},
                           {"down_block_types", Types(layout.depths, "CrossAttnDownBlock2D", "DownBlock2D")},
                           {"up_block_types", Types(up, "CrossAttnUpBlock2D", "UpBlock2D")},
                           {"mid_block_type", layout.mid_depth > 0 ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D"},
                           {"transformer_layers_per_block", depths},
                           {"attention_head_dim", heads},
                           {"cross_attention_dim", layout.context_width},
                           {"use_linear_projection", layout.linear_projection},
                           {"sample_size", sample_size}};
  if (layout.guidance_width > 0) config["time_cond_proj_dim"] = layout.guidance_width;
  if (layout.vector_width > 0) {
    config["addition_embed_type"] = "text_time";
    config["addition_time_embed_dim"] = 256;
    config["projection_class_embeddings_input_dim"] = layout.vector_width;
  }
  return config;
}

}  // namespace stepcast::model

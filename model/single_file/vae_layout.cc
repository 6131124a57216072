#include "model/single_file/vae_layout.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace stepcast::model {
namespace {

// How a layout names the parts that its sizes are read from.
struct VaeNames {
  const char* levels;       // behind it: the number of the level
  const char* convolution;  // the first of a level
  const char* layers;       // behind the level: the number of the layer
  bool from_low;            // level 0 is the smallest picture
  const char* attention;
};

constexpr VaeNames kOriginal = {"decoder.up.", ".block.0.conv1.weight", ".block.", false, "decoder.mid.attn_1."};
constexpr VaeNames kDiffusers = {"decoder.up_blocks.", ".resnets.0.conv1.weight", ".resnets.", true,
                                 "decoder.mid_block.attentions."};

absl::StatusOr<VaeLayout> Read(const TensorListing& tensors, const std::string& prefix, const VaeNames& names) {
  const std::string levels = absl::StrCat(prefix, names.levels);
  VaeLayout layout;
  const int64_t count = tensors.Count(levels);
  for (int64_t i = 0; i < count; ++i) {
    const std::string convolution = absl::StrCat(levels, i, names.convolution);
    layout.channels.push_back(tensors.Dim(convolution, 0));
    const int64_t layers = tensors.Count(absl::StrCat(levels, i, names.layers)) - 1;
    if (i == 0) layout.layers_per_block = layers;
    if (layout.channels.back() == 0 || layers < 1 || layers != layout.layers_per_block) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", convolution, ": is missing, or its level has other layers than the first"));
    }
  }
  if (names.from_low) std::reverse(layout.channels.begin(), layout.channels.end());
  layout.latent_channels = tensors.Dim(absl::StrCat(prefix, "decoder.conv_in.weight"), 1);
  if (layout.channels.empty() || layout.latent_channels == 0) {
    return absl::InvalidArgumentError(absl::StrCat("the autoencoder ", prefix, "* lacks its decoder"));
  }
  layout.quant_conv = tensors.Has(absl::StrCat(prefix, "quant_conv.weight"));
  layout.post_quant_conv = tensors.Has(absl::StrCat(prefix, "post_quant_conv.weight"));
  layout.mid_attention = tensors.HasPrefix(absl::StrCat(prefix, names.attention));
  return layout;
}

}  // namespace

absl::StatusOr<VaeLayout> ReadVaeLayout(const TensorListing& tensors, const std::string& prefix) {
  return Read(tensors, prefix, kOriginal);
}

absl::StatusOr<VaeLayout> ReadDiffusersVaeLayout(const TensorListing& tensors) { return Read(tensors, "", kDiffusers); }

nlohmann::json VaeConfigJson(const VaeLayout& layout, const VaeFacts& facts) {
  const size_t levels = layout.channels.size();
  nlohmann::json config = {{"_class_name", "AutoencoderKL"},
                           {"block_out_channels", layout.channels},
                           {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
                           {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")},
                           {"layers_per_block", layout.layers_per_block},
                           {"latent_channels", layout.latent_channels},
                           {"scaling_factor", facts.scaling_factor},
                           {"force_upcast", facts.force_upcast},
                           {"use_quant_conv", layout.quant_conv},
                           {"use_post_quant_conv", layout.post_quant_conv},
                           {"mid_block_add_attention", layout.mid_attention}};
  if (facts.sample_size > 0) config["sample_size"] = facts.sample_size;
  return config;
}

}  // namespace stepcast::model

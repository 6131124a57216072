#pragma once
// The config.json of a UNet2DConditionModel, with every list resolved to its block. unet_2d_config.h reads that of a
// UNet2DModel into the same structure.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "model/files/json_config.h"
#include "model/layers/activation.h"

namespace stepcast::model {

// What follows each resnet of a block.
enum class BlockAttention { kNone, kTransformer, kSpatial };

// How a block changes the spatial size at its end.
enum class BlockResampler { kConv, kResnet };

struct UNetBlockConfig {
  BlockAttention attention = BlockAttention::kNone;
  BlockResampler resampler = BlockResampler::kConv;
  int64_t channels = 0;                     // of its output
  int64_t layers = 1;                       // resnets; one more in an up block
  int64_t heads = 1;                        // of its attention
  std::vector<int64_t> transformer_layers;  // one per resnet, when attention is kTransformer
  bool only_cross_attention = false;
};

enum class MidBlockKind { kNone, kResnetOnly, kTransformer, kSpatial, kTwoResnets };
enum class ClassEmbedding { kNone, kTable, kTimestep };

struct UNetConfig {
  int64_t sample_height = 0;  // latent cells; 0: not told
  int64_t sample_width = 0;
  int64_t in_channels = 4;
  int64_t out_channels = 4;
  bool center_input_sample = false;
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  std::vector<UNetBlockConfig> down_blocks;
  std::vector<UNetBlockConfig> up_blocks;  // in the order of the forward pass
  MidBlockKind mid_block = MidBlockKind::kTransformer;
  int64_t mid_heads = 1;
  int64_t mid_transformer_layers = 1;
  int64_t mid_attention_groups = 32;  // with kSpatial; 0: no norm
  int64_t downsample_padding = 1;
  double mid_block_scale_factor = 1;
  Activation activation = Activation::kSilu;
  Activation output_activation = Activation::kSilu;  // before conv_out
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;
  int64_t cross_attention_dim = 1280;  // width of the text that the blocks see
  int64_t encoder_hid_dim = 0;         // width of the text that comes in; 0: the same
  bool use_linear_projection = false;
  ClassEmbedding class_embedding = ClassEmbedding::kNone;
  int64_t num_class_embeds = 0;
  int64_t addition_time_embed_dim = 0;                // text_time (SDXL); 0: none
  int64_t projection_class_embeddings_input_dim = 0;  // width into add_embedding
  bool time_scale_shift = false;
  double resnet_out_scale_factor = 1;  // of blocks whose resampler is a resnet; the others ignore it
  int64_t time_embedding_dim = 0;
  std::optional<Activation> time_embedding_activation;  // on the finished embedding
  std::optional<Activation> timestep_post_activation;
  int64_t time_cond_proj_dim = 0;  // width of LCM's guidance embedding; 0: none
  int64_t conv_in_kernel = 3;
  int64_t conv_out_kernel = 3;

  int64_t first_channels() const { return down_blocks.front().channels; }
  int64_t mid_channels() const { return down_blocks.back().channels; }
  // Times that height and width are halved on the way down.
  int64_t halvings() const { return static_cast<int64_t>(down_blocks.size()) - 1; }
};

// The part of a U-Net that a config describes: ControlNets have a copy of the way down and the middle.
enum class UNetPart { kWhole, kEncoder };

// The fields of `part`; what is wrong with them is remembered in `json`. Of kEncoder there are no up_blocks.
UNetConfig ReadUNetFields(JsonConfig& json, UNetPart part);

// Errors: INVALID_ARGUMENT listing every field that is malformed, inconsistent, or asks for something that is not
// built (the field and its value are named).
absl::StatusOr<UNetConfig> ParseUNetConfig(JsonConfig& json);

}  // namespace stepcast::model

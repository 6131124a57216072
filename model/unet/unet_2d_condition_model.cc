#include "model/unet/unet_2d_condition_model.h"

#include <cmath>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <c10/util/Exception.h>

namespace stepcast::model {
namespace {

// The size the model was trained at: most requests ask for it.
SpatialSize UsualSize(const UNetConfig& config) { return {config.sample_height, config.sample_width}; }

ConvGeometry SameSize(const UNetConfig& config, int64_t kernel) {
  return {.kernel = kernel, .stride = 1, .padding = (kernel - 1) / 2, .usual = UsualSize(config)};
}

SinusoidOptions TimeSinusoid(const UNetConfig& config, int64_t channels) {
  return {.channels = channels, .flip_sin_to_cos = config.flip_sin_to_cos, .freq_shift = config.freq_shift};
}

TimestepEmbeddingOptions TimeEmbedding(const UNetConfig& config) {
  return {.in = config.first_channels(),
          .out = config.time_embedding_dim,
          .activation = config.activation,
          .post_activation = config.timestep_post_activation,
          .condition_channels = config.time_cond_proj_dim};
}

// What all blocks share.
UNetBlockOptions Common(const UNetConfig& config, StackedLinear* time, StackedLinear* text) {
  UNetBlockOptions options;
  options.resnet.groups = config.norm_num_groups;
  options.resnet.eps = config.norm_eps;
  options.resnet.activation = config.activation;
  options.resnet.scale_shift = config.time_scale_shift;
  options.resnet.time_channels = config.time_embedding_dim;
  options.resnet.time = time;
  options.transformer.cross_attention_dim = config.cross_attention_dim;
  options.transformer.linear_projection = config.use_linear_projection;
  options.transformer.text = text;
  options.downsample_padding = config.downsample_padding;
  return options;
}

UNetBlockOptions WithBlock(UNetBlockOptions options, const UNetConfig& config, const UNetBlockConfig& block) {
  if (block.resampler == BlockResampler::kResnet) options.resnet.output_scale = config.resnet_out_scale_factor;
  options.out = block.channels;
  options.layers = block.layers;
  options.attention = block.attention;
  options.resampler = block.resampler;
  options.transformer_layers = block.transformer_layers;
  options.transformer.heads = block.heads;
  options.transformer.only_cross_attention = block.only_cross_attention;
  return options;
}

UNetBlockOptions MidOptions(UNetBlockOptions options, const UNetConfig& config) {
  options.in = options.out = config.mid_channels();
  options.layers = 0;
  options.resnet.output_scale = config.mid_block_scale_factor;
  if (config.mid_block == MidBlockKind::kTransformer) {
    options.layers = 1;
    options.attention = BlockAttention::kTransformer;
    options.transformer_layers = {config.mid_transformer_layers};
    options.transformer.heads = config.mid_heads;
  }
  return options;
}

}  // namespace

UNet2DConditionModel::UNet2DConditionModel(WeightMap& weights, const UNetConfig& config)
    : config_(config),
      conv_in_(weights.Root() / "conv_in", config.in_channels, config.first_channels(),
               SameSize(config, config.conv_in_kernel)),
      time_proj_(TimeSinusoid(config, config.first_channels()), weights.device()),
      time_embedding_(weights.Root() / "time_embedding", TimeEmbedding(config)),
      conv_norm_out_(weights.Root() / "conv_norm_out", config.first_channels(), config.norm_num_groups,
                     config.norm_eps),
      conv_out_(weights.Root() / "conv_out", config.first_channels(), config.out_channels,
                SameSize(config, config.conv_out_kernel)) {
  const WeightScope root = weights.Root();
  const int64_t time_width = config.time_embedding_dim;
  if (config.encoder_hid_dim > 0) {
    encoder_hid_proj_.emplace(root / "encoder_hid_proj", config.encoder_hid_dim, config.cross_attention_dim);
  }
  if (config.class_embedding == ClassEmbedding::kTable) {
    class_table_ = (root / "class_embedding").Get("weight", {config.num_class_embeds, time_width});
  } else if (config.class_embedding == ClassEmbedding::kTimestep) {
    class_embedding_.emplace(root / "class_embedding", TimestepEmbeddingOptions{.in = config.first_channels(),
                                                                                .out = time_width,
                                                                                .activation = config.activation,
                                                                                .post_activation = std::nullopt,
                                                                                .condition_channels = 0});
  }
  if (config.addition_time_embed_dim > 0) {
    add_time_proj_.emplace(TimeSinusoid(config, config.addition_time_embed_dim), weights.device());
    add_embedding_.emplace(root / "add_embedding",
                           TimestepEmbeddingOptions{.in = config.projection_class_embeddings_input_dim,
                                                    .out = time_width,
                                                    .activation = Activation::kSilu,
                                                    .post_activation = std::nullopt,
                                                    .condition_channels = 0});
  }

  const UNetBlockOptions common = Common(config, &time_projections_, &text_projections_);
  int64_t channels = config.first_channels();
  std::vector<SpatialSize> usual = {UsualSize(config)};  // at each level
  for (size_t i = 0; i < config.down_blocks.size(); ++i) {
    UNetBlockOptions options = WithBlock(common, config, config.down_blocks[i]);
    options.in = channels;
    options.usual = usual.back();
    options.resample = i + 1 < config.down_blocks.size();
    if (options.resample) usual.push_back(Halved(usual.back()));
    down_blocks_.emplace_back(root / "down_blocks" / static_cast<int64_t>(i), options);
    channels = options.out;
  }
  UNetBlockOptions mid = MidOptions(common, config);
  mid.usual = usual.back();
  mid_block_.emplace(root / "mid_block", mid);
  for (size_t i = 0; i < config.up_blocks.size(); ++i) {
    UNetBlockOptions options = WithBlock(common, config, config.up_blocks[i]);
    options.previous = channels;
    options.usual = usual[usual.size() - 1 - i];
    options.in = config.up_blocks[std::min(i + 1, config.up_blocks.size() - 1)].channels;
    options.resample = i + 1 < config.up_blocks.size();
    up_blocks_.emplace_back(root / "up_blocks" / static_cast<int64_t>(i), options);
    channels = options.out;
  }
  time_projections_.Seal();
  text_projections_.Seal();
}

// Luo et al. 2023 (LCM): sinusoid of 1000 (scale - 1), [sin, cos], denominator half - 1.
at::Tensor UNet2DConditionModel::GuidanceEmbedding(const at::Tensor& scales, c10::ScalarType dtype) const {
  const Sinusoid sinusoid({.channels = config_.time_cond_proj_dim, .flip_sin_to_cos = false, .freq_shift = 1},
                          scales.device());
  return sinusoid(scales.to(at::kFloat).sub(1).mul_(1000)).to(dtype);
}

at::Tensor UNet2DConditionModel::EmbedTime(const at::Tensor& timesteps, const Conditioning& conditioning,
                                           c10::ScalarType dtype) const {
  at::Tensor guidance;
  if (config_.time_cond_proj_dim > 0 && conditioning.guidance_scales.defined()) {
    guidance = GuidanceEmbedding(conditioning.guidance_scales, dtype);
  }
  at::Tensor embedding = time_embedding_(time_proj_(timesteps).to(dtype), guidance);
  if (class_table_.defined()) {
    TORCH_CHECK_VALUE(conditioning.class_labels.defined(), "this model needs class_labels");
    embedding.add_(class_table_.index_select(0, conditioning.class_labels));
  } else if (class_embedding_.has_value()) {
    TORCH_CHECK_VALUE(conditioning.class_labels.defined(), "this model needs class_labels");
    embedding.add_((*class_embedding_)(time_proj_(conditioning.class_labels).to(dtype)));
  }
  if (add_embedding_.has_value()) {
    TORCH_CHECK_VALUE(conditioning.text_embeds.defined() && conditioning.time_ids.defined(),
                      "this model needs text_embeds and time_ids");
    const at::Tensor ids = conditioning.time_ids;  // [R, K]
    const at::Tensor times = (*add_time_proj_)(ids.flatten()).view({ids.size(0), -1}).to(dtype);
    const at::Tensor joined = at::cat({conditioning.text_embeds, times}, 1);
    TORCH_CHECK_VALUE(joined.size(1) == config_.projection_class_embeddings_input_dim, "text_embeds and time_ids give ",
                      joined.size(1), " values per row, projection_class_embeddings_input_dim is ",
                      config_.projection_class_embeddings_input_dim);
    embedding.add_((*add_embedding_)(joined));
  }
  if (config_.time_embedding_activation.has_value()) {
    embedding = ActivateInPlace(embedding, *config_.time_embedding_activation);
  }
  return ActivateInPlace(embedding, config_.activation);
}

at::Tensor UNet2DConditionModel::RunBlocks(at::Tensor x, const UNetContext& context) const {
  std::vector<at::Tensor> skips = {x};
  for (const DownBlock& block : down_blocks_) x = block(std::move(x), context, skips);
  if (config_.mid_block != MidBlockKind::kNone) x = (*mid_block_)(std::move(x), context);
  for (size_t i = 0; i < up_blocks_.size(); ++i) {
    // The state below this block's own tells the size to return to; it is twice x's unless an odd size was halved.
    const auto own = static_cast<size_t>(config_.up_blocks[i].layers);
    std::optional<SpatialSize> size;
    if (i + 1 < up_blocks_.size()) size = SizeOf(skips[skips.size() - own - 1]);
    x = up_blocks_[i](std::move(x), context, skips, size);
  }
  return x;
}

at::Tensor UNet2DConditionModel::operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                            const Conditioning& conditioning) const {
  TORCH_CHECK_VALUE(latents.dim() == 4 && latents.size(1) == config_.in_channels, "latents must be [R, ",
                    config_.in_channels, ", h, w]");
  TORCH_CHECK_VALUE(timesteps.dim() == 1 && timesteps.size(0) == latents.size(0), "one timestep per row is needed");
  UNetContext context;
  context.time = time_projections_(EmbedTime(timesteps, conditioning, latents.scalar_type()));
  if (!text_projections_.empty()) {
    TORCH_CHECK_VALUE(conditioning.prompt_embeds.defined() && conditioning.prompt_embeds.size(0) == latents.size(0),
                      "prompt_embeds of the same rows are needed");
    const at::Tensor& text = conditioning.prompt_embeds;
    context.text = text_projections_(encoder_hid_proj_.has_value() ? (*encoder_hid_proj_)(text) : text);
  }
  at::Tensor x = latents.contiguous(at::MemoryFormat::ChannelsLast);
  if (config_.center_input_sample) x = x.mul(2).sub_(1);
  x = RunBlocks(conv_in_(x), context);
  return conv_out_(conv_norm_out_(x, config_.activation)).contiguous();
}

}  // namespace stepcast::model

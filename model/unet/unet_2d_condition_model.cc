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

}  // namespace

UNet2DConditionModel::UNet2DConditionModel(WeightMap& weights, const UNetConfig& config)
    : config_(config),
      dtype_(weights.dtype()),
      body_(weights, config),
      time_proj_(TimeSinusoid(config, config.first_channels()), weights.device()),
      time_embedding_(weights.Root() / "time_embedding", TimeEmbedding(config)) {
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
    const at::Tensor joined = at::cat({conditioning.text_embeds.to(dtype), times}, 1);
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

at::Tensor UNet2DConditionModel::TextOf(const Conditioning& conditioning, int64_t rows) const {
  const at::Tensor& prepared = conditioning.prepared_text;
  const at::Tensor& text = prepared.defined() ? prepared : conditioning.prompt_embeds;
  TORCH_CHECK_VALUE(text.defined() && text.size(0) == rows, "prompt_embeds of the same rows are needed");
  if (prepared.defined()) return prepared;
  // The text encoders may compute in another dtype.
  const at::Tensor own = text.to(dtype_);
  return body_.ProjectText(encoder_hid_proj_.has_value() ? (*encoder_hid_proj_)(own) : own);
}

Conditioning UNet2DConditionModel::Prepare(const Conditioning& conditioning) const {
  Conditioning prepared = conditioning;
  if (prepared.text_embeds.defined()) prepared.text_embeds = prepared.text_embeds.to(dtype_);
  if (body_.reads_text() && !prepared.prepared_text.defined() && prepared.prompt_embeds.defined()) {
    prepared.prepared_text = TextOf(conditioning, conditioning.prompt_embeds.size(0));
  }
  return prepared;
}

at::Tensor UNet2DConditionModel::operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                            const Conditioning& conditioning) const {
  body_.CheckInputs(latents, timesteps);
  UNetContext context;
  context.time = body_.ProjectTime(EmbedTime(timesteps, conditioning, latents.scalar_type()));
  if (body_.reads_text()) context.text = TextOf(conditioning, latents.size(0));
  return body_(latents, context);
}

}  // namespace stepcast::model

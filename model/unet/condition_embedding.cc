#include "model/unet/condition_embedding.h"

#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

namespace stepcast::model {
namespace {

TimestepEmbeddingOptions TimeEmbedding(const UNetConfig& config) {
  return {.in = config.first_channels(),
          .out = config.time_embedding_dim,
          .activation = config.activation,
          .post_activation = config.timestep_post_activation,
          .condition_channels = config.time_cond_proj_dim};
}

TimestepEmbeddingOptions PlainEmbedding(int64_t in, int64_t out, Activation activation) {
  return {.in = in, .out = out, .activation = activation, .post_activation = std::nullopt, .condition_channels = 0};
}

}  // namespace

SinusoidOptions TimeSinusoid(const UNetConfig& config, int64_t channels) {
  return {.channels = channels, .flip_sin_to_cos = config.flip_sin_to_cos, .freq_shift = config.freq_shift};
}

ConditionEmbedding::ConditionEmbedding(WeightMap& weights, const UNetConfig& config)
    : config_(config),
      time_proj_(TimeSinusoid(config, config.first_channels()), weights.device()),
      time_embedding_(weights.Root() / "time_embedding", TimeEmbedding(config)) {
  const WeightScope root = weights.Root();
  const int64_t width = config.time_embedding_dim;
  if (config.class_embedding == ClassEmbedding::kTable) {
    class_table_ = (root / "class_embedding").Get("weight", {config.num_class_embeds, width});
  } else if (config.class_embedding == ClassEmbedding::kTimestep) {
    class_embedding_.emplace(root / "class_embedding",
                             PlainEmbedding(config.first_channels(), width, config.activation));
  }
  if (config.addition_time_embed_dim > 0) {
    add_time_proj_.emplace(TimeSinusoid(config, config.addition_time_embed_dim), weights.device());
    add_embedding_.emplace(root / "add_embedding",
                           PlainEmbedding(config.projection_class_embeddings_input_dim, width, Activation::kSilu));
  }
}

// Luo et al. 2023 (LCM): sinusoid of 1000 (scale - 1), [sin, cos], denominator half - 1.
at::Tensor ConditionEmbedding::GuidanceEmbedding(const at::Tensor& scales, c10::ScalarType dtype) const {
  const Sinusoid sinusoid({.channels = config_.time_cond_proj_dim, .flip_sin_to_cos = false, .freq_shift = 1},
                          scales.device());
  return sinusoid(scales.to(at::kFloat).sub(1).mul_(1000)).to(dtype);
}

at::Tensor ConditionEmbedding::Addition(const Conditioning& conditioning, c10::ScalarType dtype) const {
  TORCH_CHECK_VALUE(conditioning.text_embeds.defined() && conditioning.time_ids.defined(),
                    "this model needs text_embeds and time_ids");
  const at::Tensor ids = conditioning.time_ids;  // [R, K]
  const at::Tensor times = (*add_time_proj_)(ids.flatten()).view({ids.size(0), -1}).to(dtype);
  const at::Tensor joined = at::cat({conditioning.text_embeds.to(dtype), times}, 1);
  TORCH_CHECK_VALUE(joined.size(1) == config_.projection_class_embeddings_input_dim, "text_embeds and time_ids give ",
                    joined.size(1), " values per row, projection_class_embeddings_input_dim is ",
                    config_.projection_class_embeddings_input_dim);
  return (*add_embedding_)(joined, {}, conditioning.adapters.get());
}

at::Tensor ConditionEmbedding::operator()(const at::Tensor& timesteps, const Conditioning& conditioning,
                                          c10::ScalarType dtype) const {
  at::Tensor guidance;
  if (config_.time_cond_proj_dim > 0 && conditioning.guidance_scales.defined()) {
    guidance = GuidanceEmbedding(conditioning.guidance_scales, dtype);
  }
  at::Tensor embedding = time_embedding_(time_proj_(timesteps).to(dtype), guidance, conditioning.adapters.get());
  if (class_table_.defined()) {
    TORCH_CHECK_VALUE(conditioning.class_labels.defined(), "this model needs class_labels");
    embedding.add_(class_table_.index_select(0, conditioning.class_labels));
  } else if (class_embedding_.has_value()) {
    TORCH_CHECK_VALUE(conditioning.class_labels.defined(), "this model needs class_labels");
    embedding.add_(
        (*class_embedding_)(time_proj_(conditioning.class_labels).to(dtype), {}, conditioning.adapters.get()));
  }
  if (add_embedding_.has_value()) embedding.add_(Addition(conditioning, dtype));
  return embedding;
}

at::Tensor ConditionEmbedding::Finish(at::Tensor embedding) const {
  if (config_.time_embedding_activation.has_value()) {
    embedding = ActivateInPlace(std::move(embedding), *config_.time_embedding_activation);
  }
  return ActivateInPlace(std::move(embedding), config_.activation);
}

}  // namespace stepcast::model

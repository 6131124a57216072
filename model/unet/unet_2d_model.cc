#include "model/unet/unet_2d_model.h"

#include <numbers>

#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

namespace stepcast::model {
namespace {

// Always SiLU, whatever act_fn says.
TimestepEmbeddingOptions Embedding(const UNet2DConfig& config) {
  return {.in = config.time_input(),
          .out = config.unet.time_embedding_dim,
          .activation = Activation::kSilu,
          .post_activation = std::nullopt,
          .condition_channels = 0};
}

}  // namespace

UNet2DModel::UNet2DModel(WeightMap& weights, const UNet2DConfig& config)
    : config_(config),
      body_(weights, config.unet),
      time_embedding_(weights.Root() / "time_embedding", Embedding(config)) {
  const WeightScope root = weights.Root();
  const int64_t channels = config.unet.first_channels();
  switch (config.time_projection) {
    case TimeProjection::kPositional:
      sinusoid_.emplace(SinusoidOptions{.channels = channels,
                                        .flip_sin_to_cos = config.unet.flip_sin_to_cos,
                                        .freq_shift = config.unet.freq_shift},
                        weights.device());
      break;
    case TimeProjection::kFourier:
      time_table_ = (root / "time_proj").Get("weight", {channels}).to(at::kFloat);
      break;
    case TimeProjection::kLearned:
      time_table_ = (root / "time_proj").Get("weight", {config.num_train_timesteps, channels});
      break;
  }
  if (config.unet.class_embedding == ClassEmbedding::kTable) {
    class_table_ =
        (root / "class_embedding").Get("weight", {config.unet.num_class_embeds, config.unet.time_embedding_dim});
  } else if (config.unet.class_embedding == ClassEmbedding::kTimestep) {
    class_embedding_.emplace(root / "class_embedding", Embedding(config));
  }
}

at::Tensor UNet2DModel::ProjectTimesteps(const at::Tensor& timesteps) const {
  if (sinusoid_.has_value()) return (*sinusoid_)(timesteps);
  if (config_.time_projection == TimeProjection::kLearned) {
    return time_table_.index_select(0, timesteps.to(at::kLong));
  }
  const at::Tensor angles = timesteps.to(at::kFloat).log().unsqueeze(1).mul(time_table_).mul_(2 * std::numbers::pi);
  return at::cat({angles.sin(), angles.cos()}, 1);
}

at::Tensor UNet2DModel::EmbedTime(const at::Tensor& timesteps, const Conditioning& conditioning,
                                  c10::ScalarType dtype) const {
  at::Tensor embedding = time_embedding_(ProjectTimesteps(timesteps).to(dtype));
  const bool has_classes = config_.unet.class_embedding != ClassEmbedding::kNone;
  if (has_classes) {
    const at::Tensor& labels = conditioning.class_labels;
    TORCH_CHECK_VALUE(labels.defined() && labels.dim() == 1 && labels.size(0) == timesteps.size(0),
                      "this model needs one class label per row");
    embedding.add_(class_table_.defined() ? class_table_.index_select(0, labels)
                                          : (*class_embedding_)(ProjectTimesteps(labels).to(dtype)));
  }
  return ActivateInPlace(embedding, config_.unet.activation);
}

at::Tensor UNet2DModel::operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                                   const Conditioning& conditioning) const {
  body_.CheckInputs(latents, timesteps);
  UNetContext context;
  context.time = body_.ProjectTime(EmbedTime(timesteps, conditioning, latents.scalar_type()));
  const at::Tensor output = body_(latents, context);
  if (config_.time_projection != TimeProjection::kFourier) return output;
  // A score network of noise level sigma = timestep predicts the noise over sigma.
  return output.div(timesteps.view({-1, 1, 1, 1})).to(output.scalar_type());
}

}  // namespace stepcast::model

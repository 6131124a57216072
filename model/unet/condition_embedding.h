#pragma once
// Where on the noise schedule a row stands and what else its U-Net is told in one vector: class, sizes, pooled text,
// the guidance of consistency models.

#include <optional>

#include <ATen/core/Tensor.h>

#include "model/conditioner.h"
#include "model/layers/timestep_embedding.h"
#include "model/unet/unet_config.h"
#include "model/weights/weight_map.h"

namespace stepcast::model {

// Shared by text-conditioned U-Nets and their ControlNets, which have weights of their own. Immutable.
class ConditionEmbedding {
 public:
  ConditionEmbedding(WeightMap& weights, const UNetConfig& config);

  // timesteps [R] float32. Returns time + class + addition, [R, time_embedding_dim] of `dtype`, before the activation
  // (Finish). Throws c10::Error where the conditioning lacks what the network reads.
  at::Tensor operator()(const at::Tensor& timesteps, const Conditioning& conditioning, c10::ScalarType dtype) const;

  // The finished vector, ready for the time projections. Overwrites `embedding`.
  at::Tensor Finish(at::Tensor embedding) const;

 private:
  at::Tensor GuidanceEmbedding(const at::Tensor& scales, c10::ScalarType dtype) const;
  at::Tensor Addition(const Conditioning& conditioning, c10::ScalarType dtype) const;

  UNetConfig config_;
  Sinusoid time_proj_;
  TimestepEmbedding time_embedding_;
  at::Tensor class_table_;  // [num_class_embeds, T]
  std::optional<TimestepEmbedding> class_embedding_;
  std::optional<Sinusoid> add_time_proj_;
  std::optional<TimestepEmbedding> add_embedding_;
};

// The sinusoids of a U-Net's config, `channels` wide.
SinusoidOptions TimeSinusoid(const UNetConfig& config, int64_t channels);

}  // namespace stepcast::model

#include "model/control/hint_embedding.h"

#include <utility>

#include <ATen/ops/flip.h>

#include "model/layers/activations.h"
#include "model/layers/resampling.h"

namespace stepcast::model {
namespace {

ConvGeometry Geometry(int64_t stride, SpatialSize usual) {
  return {.kernel = 3, .stride = stride, .padding = 1, .usual = usual};
}

}  // namespace

HintEmbedding::HintEmbedding(const WeightScope& scope, const ControlNetConfig& config) : bgr_(config.bgr) {
  const std::vector<int64_t>& channels = config.hint_channels;
  SpatialSize usual = {config.unet.sample_height * config.hint_factor(),
                       config.unet.sample_width * config.hint_factor()};
  convolutions_.emplace_back(scope / "conv_in", 3, channels.front(), Geometry(1, usual));
  int64_t number = 0;
  for (size_t i = 0; i + 1 < channels.size(); ++i) {
    convolutions_.emplace_back(scope / "blocks" / number++, channels[i], channels[i], Geometry(1, usual));
    convolutions_.emplace_back(scope / "blocks" / number++, channels[i], channels[i + 1], Geometry(2, usual));
    usual = Halved(usual);
  }
  convolutions_.emplace_back(scope / "conv_out", channels.back(), config.unet.first_channels(), Geometry(1, usual));
}

at::Tensor HintEmbedding::operator()(const at::Tensor& pictures) const {
  at::Tensor x = (bgr_ ? at::flip(pictures, {1}) : pictures).contiguous(at::MemoryFormat::ChannelsLast);
  for (size_t i = 0; i < convolutions_.size(); ++i) {
    x = convolutions_[i](x);
    if (i + 1 < convolutions_.size()) x = ActivateInPlace(std::move(x), Activation::kSilu);
  }
  return x;
}

}  // namespace stepcast::model

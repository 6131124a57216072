#include "tests/engine/fake_class_bundle.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/where.h>
#include <c10/core/InferenceMode.h>

#include <limits>
#include <utility>

#include "model/families/assembled_bundle.h"
#include "model/families/class_conditioner.h"

namespace stepcast::engine {
namespace {

constexpr int64_t kScale = 4;

// input [R, C, h, w], timesteps [R], labels [R] int64; every row on its own.
at::Tensor Predict(const at::Tensor& input, const at::Tensor& timesteps, const at::Tensor& labels) {
  const at::Tensor shift = (labels.to(at::kFloat) * 0.9).sin().view({-1, 1, 1, 1});
  const at::Tensor time = timesteps.view({-1, 1, 1, 1}) / 1000.0;
  return at::tanh(input * 0.7 + shift - time * 0.4) + shift * input * 0.2;
}

at::Tensor Slope(const at::Tensor& input, const at::Tensor& timesteps, const at::Tensor& labels) {
  const at::Tensor target = (labels.to(at::kFloat) * 0.5).cos().view({-1, 1, 1, 1});
  return (target - input * 0.1) * (1.0 - timesteps.view({-1, 1, 1, 1}) / 1000.0) * 0.05;
}

std::vector<int64_t> ToVector(const at::Tensor& labels) {
  return {labels.data_ptr<int64_t>(), labels.data_ptr<int64_t>() + labels.numel()};
}

class FakeDenoiser final : public model::Denoiser {
 public:
  explicit FakeDenoiser(FakeClassScript* script) : script_(script) {}
  at::Tensor operator()(const at::Tensor& latents, const at::Tensor& timesteps,
                        const model::Conditioning& conditioning) const override {
    script_->labels.push_back(ToVector(conditioning.class_labels));
    return Predict(latents, timesteps, conditioning.class_labels);
  }

 private:
  FakeClassScript* const script_;
};

class FakeClassifier final : public model::Classifier {
 public:
  explicit FakeClassifier(FakeClassScript* script) : script_(script) {}
  at::Tensor Gradient(const at::Tensor& latents, const at::Tensor& timesteps, const at::Tensor& labels) const override {
    script_->asked_labels.push_back(ToVector(labels));
    script_->inference_mode.push_back(c10::InferenceMode::is_enabled());
    const at::Tensor poisoned = (labels == script_->poisoned_class).view({-1, 1, 1, 1});
    return at::where(poisoned, std::numeric_limits<float>::quiet_NaN(), Slope(latents, timesteps, labels));
  }

 private:
  FakeClassScript* const script_;
};

class FakeCodec final : public model::LatentCodec {
 public:
  at::Tensor Decode(const at::Tensor& latents) const override {
    return at::upsample_nearest2d(at::tanh(latents.narrow(1, 0, 3)),
                                  {latents.size(2) * kScale, latents.size(3) * kScale});
  }
};

class FakePreview final : public model::PreviewDecoder {
 public:
  at::Tensor Decode(const at::Tensor& x0) const override { return x0.narrow(1, 0, 3).contiguous(); }
};

}  // namespace

std::shared_ptr<const model::ModelBundle> MakeFakeClassBundle(const std::string& id, FakeClassScript* script,
                                                              bool has_classifier) {
  auto info = std::make_shared<ModelInfo>();
  info->id = id;
  info->conditioning = ConditioningKind::kClassLabel;
  for (int i = 0; i < kFakeClasses; ++i) info->class_labels[i] = std::string(1, static_cast<char>('a' + i));
  info->has_null_class = true;
  info->has_classifier = has_classifier;
  info->vae_scale_factor = static_cast<int>(kScale);
  model::BundleParts parts;
  parts.info = std::move(info);
  const c10::Device cpu(c10::DeviceType::CPU);
  parts.conditioner = std::make_unique<const model::ClassConditioner>(kFakeClasses + 1, kFakeNullClass, cpu);
  parts.denoiser = std::make_unique<const FakeDenoiser>(script);
  parts.codec = std::make_unique<const FakeCodec>();
  parts.preview = std::make_unique<const FakePreview>();
  if (has_classifier) parts.classifier = std::make_unique<const FakeClassifier>(script);
  return std::make_shared<const model::AssembledBundle>(std::move(parts), cpu, c10::ScalarType::Float);
}

at::Tensor FakeClassPrediction(const at::Tensor& input, float timestep, int64_t label) {
  return Predict(input.unsqueeze(0), at::tensor({timestep}), at::tensor({label}, at::kLong)).squeeze(0);
}

at::Tensor FakeGradient(const at::Tensor& input, float timestep, int64_t label) {
  return Slope(input.unsqueeze(0), at::tensor({timestep}), at::tensor({label}, at::kLong)).squeeze(0);
}

}  // namespace stepcast::engine

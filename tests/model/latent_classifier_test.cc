#include "model/classifier/latent_classifier.h"

#include <limits>
#include <string>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

LatentClassifierConfig ConfigOf(const std::string& text) {
  auto json = JsonConfig::Parse(text, "config");
  auto config = ParseLatentClassifierConfig(*json);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

// The tiny classifier of the fixtures, with three random rows.
struct Tiny {
  Tiny()
      : replay(FindCase("latent_classifier")),
        weights(replay.weights(), c10::DeviceType::CPU, at::kFloat),
        classifier(weights, ConfigOf(replay.config())) {
    at::manual_seed(9);
    latents = at::randn({3, 4, 8, 8});
    timesteps = at::tensor({700.5, 120.0, 3.0}, at::kFloat);
    labels = at::tensor({2, 2, 9}, at::kLong);
  }

  Replay replay;
  WeightMap weights;
  LatentClassifier classifier;
  at::Tensor latents;
  at::Tensor timesteps;
  at::Tensor labels;
};

TEST(LatentClassifier, TheGradientIsTheSlopeOfTheLogProbability) {
  const Tiny tiny;
  const at::Tensor gradient = tiny.classifier.Gradient(tiny.latents, tiny.timesteps, tiny.labels);
  ASSERT_EQ(gradient.sizes(), tiny.latents.sizes());
  const at::Tensor direction = at::randn({3, 4, 8, 8});
  const auto log_probability = [&](double step) {
    const at::Tensor logits = tiny.classifier.Logits(tiny.latents + direction * step, tiny.timesteps);
    return at::log_softmax(logits, 1).gather(1, tiny.labels.unsqueeze(1)).squeeze(1);
  };
  constexpr double kStep = 1e-2;
  const at::Tensor slope = (log_probability(kStep) - log_probability(-kStep)) / (2 * kStep);
  const at::Tensor expected = (gradient * direction).sum({1, 2, 3});
  // A central difference in float32: the curvature's share and the rounding of the logarithms are both near 1e-4.
  EXPECT_LT(Compare(slope, expected).max, 2e-3 + 2e-3 * expected.abs().max().item<double>());
  EXPECT_GT(expected.abs().max().item<double>(), 1e-2) << "a gradient of zero would prove nothing";
}

TEST(LatentClassifier, TakesItsGradientInInferenceMode) {
  const Tiny tiny;
  const at::Tensor outside = tiny.classifier.Gradient(tiny.latents, tiny.timesteps, tiny.labels);
  const c10::InferenceMode no_autograd;
  const at::Tensor latents = tiny.latents.clone();
  const at::Tensor inside = tiny.classifier.Gradient(latents, tiny.timesteps.clone(), tiny.labels.clone());
  EXPECT_EQ(Compare(inside, outside).max, 0);
  EXPECT_EQ(Compare(latents, tiny.latents).max, 0) << "its input is left alone";
  EXPECT_TRUE(c10::InferenceMode::is_enabled());
}

TEST(LatentClassifier, RowsDoNotSeeEachOther) {
  const Tiny tiny;
  const at::Tensor together = tiny.classifier.Gradient(tiny.latents, tiny.timesteps, tiny.labels);
  at::Tensor poisoned = tiny.latents.clone();
  poisoned[0].fill_(std::numeric_limits<float>::quiet_NaN());
  const at::Tensor gradient = tiny.classifier.Gradient(poisoned, tiny.timesteps, tiny.labels);
  EXPECT_FALSE(at::isfinite(gradient[0]).all().item<bool>());
  EXPECT_EQ(Compare(gradient[1], together[1]).max, 0);
  for (int64_t row = 0; row < 3; ++row) {
    const at::Tensor alone = tiny.classifier.Gradient(tiny.latents.narrow(0, row, 1), tiny.timesteps.narrow(0, row, 1),
                                                      tiny.labels.narrow(0, row, 1));
    // Kernels may split the work of another batch size differently; nothing else may change.
    EXPECT_LT(Compare(alone[0], together[row]).max, 1e-6) << row;
  }
}

TEST(LatentClassifier, NoiseThatHidesEverythingHasNoGradient) {
  const Tiny tiny;
  ASSERT_TRUE(ConfigOf(tiny.replay.config()).cosine_gain);
  const at::Tensor end = at::tensor({999.0, 999.0, 999.0}, at::kFloat);
  EXPECT_LT(tiny.classifier.Gradient(tiny.latents, end, tiny.labels).abs().max().item<double>(), 1e-6);
}

TEST(LatentClassifier, RefusesInputsOfOtherShapes) {
  const Tiny tiny;
  EXPECT_THROW(tiny.classifier.Logits(tiny.latents.narrow(1, 0, 3), tiny.timesteps), c10::Error);
  EXPECT_THROW(tiny.classifier.Logits(tiny.latents, tiny.timesteps.narrow(0, 0, 1)), c10::Error);
  EXPECT_THROW(tiny.classifier.Gradient(tiny.latents, tiny.timesteps, at::tensor({0, 1, 10}, at::kLong)), c10::Error);
}

TEST(LatentClassifierConfig, RefusesByName) {
  const std::pair<const char*, const char*> kRefusals[] = {
      {R"({"logit_gain": "linear"})", "logit_gain: 'linear'"},
      {R"({"block_out_channels": [24, 64]})", "norm_num_groups: 24 channels"},
      {R"({"act_fn": "tanh"})", "act_fn"},
      {R"({"num_classes": 0})", "num_classes"},
  };
  for (const auto& [text, message] : kRefusals) {
    auto json = JsonConfig::Parse(text, "classifier/config.json");
    const absl::Status status = ParseLatentClassifierConfig(*json).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(status.message().find(message), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace stepcast::model

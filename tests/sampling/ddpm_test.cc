#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

SamplerSpec Spec(int steps = 1000) { return {.sampler = Sampler::kDdpm, .steps = steps}; }

NoiseScheduleConfig Config(PredictionType prediction = PredictionType::kEpsilon) {
  NoiseScheduleConfig config;
  config.prediction_type = prediction;
  return config;
}

NoiseScheduleConfig WithVariance(VarianceType type) {
  NoiseScheduleConfig config;
  config.variance_type = type;
  return config;
}

float NoiseCoefficient(const Evaluation& evaluation) {
  for (const Term& term : evaluation.transition) {
    if (term.from == Slot::kNoise) return term.coefficient;
  }
  return 0.0f;
}

TEST(DdpmTest, PublishedFullLoops) {
  SamplerSpec last_two = Spec();
  last_two.strength = 0.002;
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec()}, 258.9606, 0.3372},
      {"v_prediction", {Config(PredictionType::kVPrediction), Spec()}, 202.0296, 0.2631},
      {"noise, last two steps", {Config(), last_two}, 387.9466, 0.5051},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

TEST(DdpmTest, PublishedVariances) {
  const SharedProgram program = Compile(Config(), Spec()).value();
  for (const auto& [t, variance] : {std::pair{0, 0.0}, {487, 0.00979}, {999, 0.02}}) {
    const Evaluation& e = program->evaluations[999 - t];
    ASSERT_EQ(e.timestep, static_cast<float>(t));
    EXPECT_NEAR(NoiseCoefficient(e) * NoiseCoefficient(e), variance, 1e-5) << t;
  }
}

TEST(DdpmTest, PublishedParallelStep) {
  const SharedProgram program = Compile(Config(), Spec()).value();
  const std::vector<float> no_noise(768, 0.0f);
  double sum = 0.0;
  for (int t = 0; t < 3; ++t) {
    const float shift = t == 0 ? 0.0f : t == 1 ? 0.1f : -0.1f;
    std::vector<float> latents = DummySample();
    for (float& value : latents) value += shift;
    ReferenceInterpreter image(*program, latents, 999 - t);
    image.Step(DummyModel()(image.DenoiserInput(), image.next()), no_noise);
    sum += MagnitudeOf(image.slot(Slot::kLatents)).sum;
  }
  EXPECT_NEAR(sum, 1153.1833, 1e-2);
  EXPECT_NEAR(sum / (3 * 768), 0.5005, 1e-3);
}

TEST(DdpmTest, DrawsWhileTheTimestepIsAboveZero) {
  for (const int offset : {0, 1}) {
    NoiseScheduleConfig config;
    config.steps_offset = offset;
    const SharedProgram program = Compile(config, Spec(10)).value();
    int draws = 0;
    for (const Evaluation& e : program->evaluations) draws += e.draws_noise;
    EXPECT_EQ(draws, offset == 0 ? 9 : 10);
    if (offset == 0) continue;
    // The draw after the last step of a list that ends above 0 has next to no share, but is consumed.
    EXPECT_GT(NoiseCoefficient(program->evaluations.back()), 0.0f);
    EXPECT_LT(NoiseCoefficient(program->evaluations.back()), 2e-10f);
  }
}

TEST(DdpmTest, VarianceTypes) {
  const auto coefficient = [](VarianceType type) {
    return NoiseCoefficient(Compile(WithVariance(type), Spec(10)).value()->evaluations[4]);
  };
  const float small = coefficient(VarianceType::kFixedSmall);
  // exp(ln v / 2) against sqrt(v): two more roundings of float32.
  EXPECT_NEAR(coefficient(VarianceType::kFixedSmallLog), small, 4e-7f * small);
  EXPECT_GT(coefficient(VarianceType::kFixedLarge), small);

  // Its logarithm of a variance below 1 is negative and has no root.
  const absl::Status status = Compile(WithVariance(VarianceType::kFixedLargeLog), Spec(10)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("sampler: DDPM"));
}

// A model that learned its range moves between the variances of fixed_small and fixed_large.
TEST(DdpmTest, LearnedRangeSpansTheFixedVariances) {
  const Evaluation small = Compile(WithVariance(VarianceType::kFixedSmall), Spec(10)).value()->evaluations[4];
  const Evaluation large = Compile(WithVariance(VarianceType::kFixedLarge), Spec(10)).value()->evaluations[4];
  const Evaluation range = Compile(WithVariance(VarianceType::kLearnedRange), Spec(10)).value()->evaluations[4];
  ASSERT_EQ(range.special, Special::kVarianceNoise);
  EXPECT_EQ(NoiseCoefficient(range), 1.0f);
  const auto factor = [&](float v) {
    std::vector<float> prediction = {0.0f};
    std::vector<float> noise = {1.0f};
    ApplySpecial(range.special, range.special_coefs,
                 {.latents = {},
                  .variance = absl::MakeConstSpan(&v, 1),
                  .model_output = absl::MakeSpan(prediction),
                  .noise = absl::MakeSpan(noise)});
    return noise[0];
  };
  // float32 logarithms and back.
  EXPECT_NEAR(factor(-1.0f), NoiseCoefficient(small), 1e-6f * NoiseCoefficient(small));
  EXPECT_NEAR(factor(1.0f), NoiseCoefficient(large), 1e-6f * NoiseCoefficient(large));
}

TEST(DdpmTest, LearnedVarianceIsTheModelsOwn) {
  const SharedProgram program = Compile(WithVariance(VarianceType::kLearned), Spec(10)).value();
  for (const Evaluation& e : program->evaluations) {
    EXPECT_EQ(e.special, e.draws_noise ? Special::kVarianceRoot : Special::kNone);
  }
}

TEST(DdpmTest, AListThatEqualsTheDefaultOneChangesNothing) {
  SamplerSpec spec = Spec(4);
  spec.timesteps = {750, 500, 250, 0};
  EXPECT_EQ(*Compile(Config(), spec).value(), *Compile(Config(), Spec(4)).value());
  spec.timesteps = {750, 500.5, 250, 0};
  EXPECT_THAT(std::string(Compile(Config(), spec).status().message()),
              testing::StartsWith("timesteps: entry 1 is 500.5; this sampler takes whole timesteps only"));
}

}  // namespace
}  // namespace stepcast::sampling

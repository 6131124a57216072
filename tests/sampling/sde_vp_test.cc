#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>

#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "sampling/schedule/class_defaults.h"
#include "sampling/schedule/noise_schedule.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

double CoefficientOf(const Evaluation& evaluation, Slot from) {
  for (const Term& term : evaluation.transition) {
    if (term.to == Slot::kLatents && term.from == from) return term.coefficient;
  }
  return 0.0;
}

SharedProgram Compiled(const NoiseScheduleConfig& config, int steps, std::optional<double> eta = std::nullopt) {
  return Compile(config, {.sampler = Sampler::kSdeVp, .steps = steps, .eta = eta}).value();
}

// One step per training timestep: 1 - alpha is the beta of the schedule.
TEST(SdeVpTest, StepsOfTheFormula) {
  const SharedProgram program = Compiled({}, 1000);
  ASSERT_EQ(program->evaluations.size(), 1000u);
  EXPECT_EQ(program->start, (Start{0.0f, 1.0f}));
  double cumulative = 1.0;
  for (int t = 0; t < 1000; ++t) {
    const double beta = 1e-4 + t / 999.0 * (0.02 - 1e-4);
    cumulative *= 1.0 - beta;
    const Evaluation& e = program->evaluations[999 - t];
    EXPECT_EQ(e.timestep, static_cast<float>(t));
    EXPECT_NEAR(CoefficientOf(e, Slot::kLatents), 2.0 - std::sqrt(1.0 - beta), 1e-6);
    // Of the noise, which is -sqrt(1 - cumulative alpha) times the score. A beta as the difference of two float32
    // numbers near 1 has an error of 6e-8, up to 6e-4 of it.
    EXPECT_NEAR(CoefficientOf(e, Slot::kModelOutput), -beta / std::sqrt(1.0 - cumulative), 2e-3 * std::sqrt(beta));
    EXPECT_NEAR(CoefficientOf(e, Slot::kNoise), t == 0 ? 0.0 : std::sqrt(beta), 1e-3 * std::sqrt(beta));
    EXPECT_EQ(e.draws_noise, t > 0);
  }
}

// Fewer steps: alpha is the ratio of the cumulative alphas of a step's two ends, that of the clean end being 1.
TEST(SdeVpTest, AStepSpansTrainingTimesteps) {
  const auto cumulative = [](int last) {
    double product = 1.0;
    for (int t = 0; t <= last; ++t) product *= 1.0 - (1e-4 + t / 999.0 * (0.02 - 1e-4));
    return product;
  };
  SamplerSpec spec{.sampler = Sampler::kSdeVp, .steps = 3};
  spec.timesteps = {900, 400, 30};
  const SharedProgram program = Compile({}, spec).value();
  const double ends[] = {cumulative(900), cumulative(400), cumulative(30), 1.0};
  for (int i = 0; i < 3; ++i) {
    const double alpha = ends[i] / ends[i + 1];
    const Evaluation& e = program->evaluations[i];
    EXPECT_NEAR(CoefficientOf(e, Slot::kLatents), 2.0 - std::sqrt(alpha), 1e-5);
    EXPECT_NEAR(CoefficientOf(e, Slot::kModelOutput), -(1.0 - alpha) / std::sqrt(1.0 - ends[i]), 1e-5);
    EXPECT_NEAR(CoefficientOf(e, Slot::kNoise), i == 2 ? 0.0 : std::sqrt(1.0 - alpha), 1e-5);
  }
}

// x' = (2 - sqrt(alpha)) x + (1 - alpha) / 2 s.
TEST(SdeVpTest, EtaZeroIsTheProbabilityFlow) {
  const SharedProgram sde = Compiled({}, 20);
  const SharedProgram ode = Compiled({}, 20, 0.0);
  for (size_t i = 0; i < 20; ++i) {
    const Evaluation& e = ode->evaluations[i];
    EXPECT_FALSE(e.draws_noise);
    EXPECT_EQ(CoefficientOf(e, Slot::kNoise), 0.0);
    EXPECT_EQ(CoefficientOf(e, Slot::kLatents), CoefficientOf(sde->evaluations[i], Slot::kLatents));
    EXPECT_FLOAT_EQ(CoefficientOf(e, Slot::kModelOutput), 0.5 * CoefficientOf(sde->evaluations[i], Slot::kModelOutput));
  }
}

TEST(SdeVpTest, TheWholeNoiseUnlessAskedForLess) {
  EXPECT_EQ(*Compiled({}, 20), *Compiled({}, 20, 1.0));
  const SharedProgram whole = Compiled({}, 20);
  const SharedProgram half = Compiled({}, 20, 0.5);
  EXPECT_FLOAT_EQ(CoefficientOf(half->evaluations[3], Slot::kNoise),
                  0.5 * CoefficientOf(whole->evaluations[3], Slot::kNoise));
  EXPECT_FLOAT_EQ(CoefficientOf(half->evaluations[3], Slot::kModelOutput),
                  0.625 * CoefficientOf(whole->evaluations[3], Slot::kModelOutput));
}

// Noise, v and x0 of one and the same picture and noise.
TEST(SdeVpTest, PredictionTypesAgree) {
  std::vector<float> results;
  for (const PredictionType prediction :
       {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample}) {
    NoiseScheduleConfig config;
    config.prediction_type = prediction;
    const SharedProgram program = Compiled(config, 10, 0.0);
    const NoiseSchedule schedule = NoiseSchedule::Create(ResolveSettings(config, {}).value()).value();
    const Denoiser denoiser = [&](absl::Span<const float> input, const Evaluation& e) {
      constexpr double kPicture = 0.4;
      const double a = schedule.alphas_cumprod()[static_cast<size_t>(e.timestep)];
      const double noise = (input[0] - std::sqrt(a) * kPicture) / std::sqrt(1.0 - a);
      const double v = std::sqrt(a) * noise - std::sqrt(1.0 - a) * kPicture;
      const double output = prediction == PredictionType::kEpsilon       ? noise
                            : prediction == PredictionType::kVPrediction ? v
                                                                         : kPicture;
      return std::vector<float>{static_cast<float>(output)};
    };
    NoiseGenerator unused(0);
    results.push_back(RunProgram(*program, {1.5f}, denoiser, unused)[0]);
  }
  EXPECT_NEAR(results[1], results[0], 1e-5);  // float32 over ten steps
  EXPECT_NEAR(results[2], results[0], 1e-5);
}

TEST(SdeVpTest, ZeroTerminalSnrNeedsAPredictionThatIsFiniteThere) {
  NoiseScheduleConfig config;
  config.rescale_betas_zero_snr = true;
  config.prediction_type = PredictionType::kVPrediction;
  const SharedProgram program = Compiled(config, 10);
  EXPECT_EQ(CoefficientOf(program->evaluations[0], Slot::kLatents), 1.0);  // 2 x + s, and s = -x where all is noise
  EXPECT_EQ(CoefficientOf(program->evaluations[0], Slot::kNoise), 1.0);
  config.prediction_type = PredictionType::kEpsilon;
  EXPECT_EQ(Compile(config, {.sampler = Sampler::kSdeVp, .steps = 10}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace stepcast::sampling

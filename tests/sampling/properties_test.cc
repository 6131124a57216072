// What must hold for every sampler, those to come included.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "sampling/compile.h"
#include "sampling/reference_interpreter.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr TimestepSpacing kSpacings[] = {TimestepSpacing::kLinspace, TimestepSpacing::kLeading,
                                         TimestepSpacing::kTrailing};
constexpr PredictionType kPredictions[] = {PredictionType::kEpsilon, PredictionType::kVPrediction,
                                           PredictionType::kSample};

// Distilled models have so many steps; the others as many as they were trained on.
int MaxSteps(Sampler sampler) { return sampler == Sampler::kLcm || sampler == Sampler::kTcd ? 50 : 999; }

// EDM models predict what their preconditioning asks for, never x0 itself.
bool Predicts(Sampler sampler, PredictionType prediction) {
  const bool edm = sampler == Sampler::kEdmEuler || sampler == Sampler::kEdmDpmpp;
  return !(edm && prediction == PredictionType::kSample);
}

std::string Name(const testing::TestParamInfo<Sampler>& info) { return std::string(SamplerName(info.param)); }

class EverySamplerTest : public testing::TestWithParam<Sampler> {
 protected:
  SharedProgram Make(SamplerSpec spec, const NoiseScheduleConfig& config = {}) {
    spec.sampler = GetParam();
    absl::StatusOr<SharedProgram> program = Compile(config, spec);
    EXPECT_TRUE(program.ok()) << program.status();
    return program.ok() ? *program : nullptr;
  }
};

INSTANTIATE_TEST_SUITE_P(All, EverySamplerTest, testing::ValuesIn(SupportedSamplers()), Name);

// Model calls of n steps as the classes of diffusers make them.
int ModelCalls(Sampler sampler, int n) {
  switch (sampler) {
    case Sampler::kPndm:
      return n >= 4 ? n + 9 : n + (n > 1 ? 1 : 0);
    case Sampler::kHeun:
    case Sampler::kDpm2:
    case Sampler::kDpm2Ancestral:
      return 2 * n - 1;
    case Sampler::kSdeVe:
      return 2 * n;  // a corrector and a predictor
    case Sampler::kAnnealedLangevin:
      return 5 * n + 1;  // inner steps, final denoising
    default:
      return n;
  }
}

// Draws of n steps at the defaults of a request.
int Draws(Sampler sampler, int n) {
  switch (sampler) {
    case Sampler::kDdpm:
    case Sampler::kLcm:
    case Sampler::kDpm2Ancestral:
      return n - 1;
    case Sampler::kEulerAncestral:
    case Sampler::kDpmpp2mSde:
      return n;
    case Sampler::kSdeVe:
      return 2 * n;
    case Sampler::kAnnealedLangevin:
      return 5 * n;
    default:
      return 0;
  }
}

TEST_P(EverySamplerTest, CostsItsModelCallsAndDrawsItsNoise) {
  for (const int n : {1, 2, 3, 4, 10, 50}) {
    const SharedProgram program = Make({.steps = n, .guidance_scale = 5.0});
    ASSERT_NE(program, nullptr);
    EXPECT_EQ(program->sampler, GetParam());
    EXPECT_EQ(program->evaluations.size(), static_cast<size_t>(ModelCalls(GetParam(), n))) << n;
    EXPECT_EQ(program->RowsFrom(0), 2 * ModelCalls(GetParam(), n)) << n;
    int draws = 0;
    for (const Evaluation& e : program->evaluations) draws += e.draws_noise;
    EXPECT_EQ(draws, Draws(GetParam(), n)) << n;
  }
}

TEST_P(EverySamplerTest, StepsAreCountedFromZeroWithoutGaps) {
  for (const int n : {1, 2, 3, 5, 14, 15, 50, MaxSteps(GetParam())}) {
    const SharedProgram program = Make({.steps = n});
    ASSERT_NE(program, nullptr) << n;
    EXPECT_EQ(program->steps, n);
    int previous = 0;
    for (const Evaluation& e : program->evaluations) {
      ASSERT_TRUE(e.step == previous || e.step == previous + 1) << e.step;
      previous = e.step;
    }
    EXPECT_EQ(previous, n - 1);
  }
}

TEST_P(EverySamplerTest, MoreStepsThanTrainingTimestepsAreRefused) {
  for (const int n : {0, -3, 1001}) {
    const absl::Status status = Compile({}, {.sampler = GetParam(), .steps = n}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("steps: "));
  }
}

void ExpectFinite(const SamplingProgram& program) {
  EXPECT_TRUE(std::isfinite(program.start.image_coef) && std::isfinite(program.start.noise_coef));
  for (const Evaluation& e : program.evaluations) {
    ASSERT_TRUE(std::isfinite(e.timestep) && std::isfinite(e.input_scale)) << e.step;
    ASSERT_TRUE(std::isfinite(e.x0_from_latents) && std::isfinite(e.x0_from_output)) << e.step;
    for (const Term& term : e.transition) ASSERT_TRUE(std::isfinite(term.coefficient)) << e.step;
  }
}

TEST_P(EverySamplerTest, EverySpacingPredictionAndBetaScheduleIsFiniteFromOneStepOn) {
  for (const BetaSchedule betas :
       {BetaSchedule::kLinear, BetaSchedule::kScaledLinear, BetaSchedule::kSquaredCosCapV2, BetaSchedule::kSigmoid}) {
    for (const TimestepSpacing spacing : kSpacings) {
      for (const PredictionType prediction : kPredictions) {
        if (!Predicts(GetParam(), prediction)) continue;
        NoiseScheduleConfig config;
        config.beta_schedule = betas;
        config.prediction_type = prediction;
        for (const int n : {1, 2, 7, 20}) {
          const SharedProgram program = Make({.steps = n, .timestep_spacing = spacing}, config);
          ASSERT_NE(program, nullptr);
          ExpectFinite(*program);
        }
      }
    }
  }
}

TEST_P(EverySamplerTest, OneStepOfEverySigmaScheduleIsFinite) {
  for (const SigmaSchedule schedule : FindSampler(GetParam())->sigma_schedules) {
    for (const int n : {1, 2, 3}) {
      const SharedProgram program = Make({.steps = n, .sigma_schedule = schedule});
      ASSERT_NE(program, nullptr) << SigmaScheduleName(schedule);
      ExpectFinite(*program);
    }
  }
}

// An image's program is the end of the one from noise: same levels, fewer steps.
TEST_P(EverySamplerTest, ImageToImageRunsTheLastSteps) {
  struct Row {
    int steps;
    double strength;
    int executed;
  };
  for (const Row& row : {Row{50, 0.8, 40}, {50, 0.58, 28}, {50, 1.0, 50}, {20, 0.5, 10}, {7, 0.15, 1}}) {
    const SharedProgram full = Make({.steps = row.steps});
    SamplerSpec spec{.steps = row.steps};
    spec.strength = row.strength;
    const SharedProgram program = Make(spec);
    ASSERT_NE(program, nullptr);
    EXPECT_EQ(program->steps, row.executed);
    EXPECT_EQ(program->evaluations[0].step, 0);
    EXPECT_GT(program->start.image_coef, 0.0f);
    EXPECT_GT(program->start.noise_coef, 0.0f);
    ExpectFinite(*program);
    if (GetParam() == Sampler::kPndm) continue;  // other lists, see its test
    size_t first = 0;
    while (full->evaluations[first].step < row.steps - row.executed) ++first;
    ASSERT_EQ(full->evaluations.size() - first, program->evaluations.size());
    for (size_t i = 0; i < program->evaluations.size(); ++i) {
      EXPECT_EQ(program->evaluations[i].timestep, full->evaluations[first + i].timestep);
      EXPECT_EQ(program->evaluations[i].draws_noise, full->evaluations[first + i].draws_noise);
    }
  }
}

// The normals that a run takes are those its program announces, no more and no less.
TEST_P(EverySamplerTest, ARunConsumesTheAnnouncedDraws) {
  const SharedProgram program = Make({.steps = 6});
  const Denoiser denoiser = [](absl::Span<const float> input, const Evaluation&) {
    return std::vector<float>(input.begin(), input.end());
  };
  NoiseGenerator used(3);
  const std::vector<float> result = RunProgram(*program, std::vector<float>(24, 0.5f), denoiser, used);
  for (const float value : result) EXPECT_TRUE(std::isfinite(value));
  NoiseGenerator expected(3);
  std::vector<float> normals(24);
  for (const Evaluation& e : program->evaluations) {
    if (e.draws_noise) expected.Fill(absl::MakeSpan(normals));
  }
  EXPECT_EQ(used.state(), expected.state());
}

TEST_P(EverySamplerTest, EqualInputsGiveEqualPrograms) {
  EXPECT_EQ(*Make({.steps = 25, .guidance_scale = 4.0}), *Make({.steps = 25, .guidance_scale = 4.0}));
}

}  // namespace
}  // namespace stepcast::sampling

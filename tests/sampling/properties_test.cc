// What must hold for every sampler, those to come included.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
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
    case Sampler::kSdeVp:
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

// Random wishes on random models.
class Whims {
 public:
  explicit Whims(uint32_t seed) : random_(seed) {}

  bool Chance(int percent) { return Pick(100) < percent; }
  int Pick(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return *(values.begin() + Pick(static_cast<int>(values.size())));
  }

  NoiseScheduleConfig Model() {
    NoiseScheduleConfig config;
    config.num_train_timesteps = OneOf({2, 10, 100, 1000, 1100});
    config.beta_schedule = static_cast<BetaSchedule>(Pick(4));
    config.prediction_type = static_cast<PredictionType>(Pick(3));
    config.timestep_spacing = static_cast<TimestepSpacing>(Pick(3));
    config.steps_offset = Pick(2);
    config.rescale_betas_zero_snr = Chance(20);
    config.skip_prk_steps = Chance(50);
    config.set_alpha_to_one = Chance(50);
    config.clip_sample = Chance(30);
    config.thresholding = Chance(10);
    config.use_karras_sigmas = Chance(20);
    config.log_linear_interpolation = Chance(10);
    config.continuous_timesteps = Chance(10);
    config.variance_type = static_cast<VarianceType>(Pick(6));
    config.final_sigmas_type = static_cast<FinalSigmas>(Pick(2));
    if (Chance(10)) config.scheduler_class = "ScoreSdeVeScheduler";
    if (Chance(10)) config.scheduler_class = "EDMEulerScheduler";
    config.lower_order_final = Chance(50);
    config.euler_at_final = Chance(20);
    config.predict_x0 = Chance(70);
    config.solver_type = static_cast<SolverType>(Pick(5));
    if (Chance(20)) config.algorithm_type = static_cast<SolverAlgorithm>(Pick(5));
    if (Chance(10)) config.solver_order = 1 + Pick(8);
    if (Chance(10)) config.disable_corrector = {Pick(5), Pick(50)};
    if (Chance(10)) config.lambda_min_clipped = 0.5 * Pick(20) - 8.0;
    if (Chance(10)) config.sigma_data = 0.1 * Pick(12);
    if (Chance(10)) config.rho = Pick(9);
    if (Chance(10)) config.edm_sigma_schedule = SigmaSchedule::kExponential;
    if (Chance(10)) config.original_inference_steps = 1 + Pick(1100);
    if (Chance(10)) config.sigma_max = 0.01 * Pick(2000);
    return config;
  }

  SamplerSpec Request() {
    const std::vector<Sampler>& samplers = SupportedSamplers();
    SamplerSpec spec{.sampler = samplers[static_cast<size_t>(Pick(static_cast<int>(samplers.size())))]};
    spec.steps = OneOf({1, 2, 3, 4, 7, 20, 50, 99, 100});
    if (Chance(30)) spec.sigma_schedule = static_cast<SigmaSchedule>(Pick(5));
    if (Chance(30)) spec.timestep_spacing = static_cast<TimestepSpacing>(Pick(3));
    if (Chance(20)) spec.eta = 0.1 * Pick(11);
    if (Chance(30)) spec.strength = 0.05 * Pick(21);
    if (Chance(20)) spec.options.solver_order = Pick(6);
    if (Chance(20)) spec.options.churn = 0.5 * Pick(100);
    if (Chance(20)) spec.options.original_inference_steps = Pick(1200);
    if (Chance(20)) spec.options.langevin = {.levels = spec.steps, .inner_steps = 1 + Pick(9)};
    if (Chance(15)) spec.timesteps = Falling(spec.steps, 1.0);
    if (Chance(15)) spec.sigmas = Falling(spec.steps + 1, 0.25);
    return spec;
  }

 private:
  std::vector<double> Falling(int count, double unit) {
    std::vector<double> list;
    double value = unit * Pick(3);
    for (int i = 0; i < count; ++i, value += unit * (1 + Pick(12))) list.push_back(value);
    std::reverse(list.begin(), list.end());
    return list;
  }

  std::mt19937 random_;
};

// Whatever is asked for is either refused by name or a program whose every number is finite and that runs.
TEST(AnyRequestTest, IsRefusedByNameOrRuns) {
  Whims whims(20240229);
  int ran = 0;
  for (int i = 0; i < 6000; ++i) {
    const NoiseScheduleConfig model = whims.Model();
    const SamplerSpec spec = whims.Request();
    const absl::StatusOr<SharedProgram> program = Compile(model, spec);
    if (!program.ok()) {
      ASSERT_EQ(program.status().code(), absl::StatusCode::kInvalidArgument);
      ASSERT_THAT(std::string(program.status().message()), testing::ContainsRegex("^[a-z_.]+: ."));
      continue;
    }
    ++ran;
    ExpectFinite(**program);
    ASSERT_FALSE(testing::Test::HasFailure()) << SamplerName(spec.sampler) << ", request " << i;
    const Denoiser denoiser = [](absl::Span<const float> input, const Evaluation& evaluation) {
      std::vector<float> output(input.begin(), input.end());
      if (evaluation.special == Special::kVarianceNoise || evaluation.special == Special::kVarianceRoot) {
        output.resize(2 * input.size(), 0.1f);
      }
      return output;
    };
    NoiseGenerator noise(static_cast<uint64_t>(i));
    RunProgram(**program, std::vector<float>(4, 0.5f), denoiser, noise);
  }
  EXPECT_GT(ran, 500);
}

}  // namespace
}  // namespace stepcast::sampling

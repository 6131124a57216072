// Every sampler, started from noise, paints the distribution its denoiser was made for: mean, covariance and mode
// weights of many points of a mixture whose score is known.

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "sampling/compile/compile.h"
#include "sampling/program/reference_interpreter.h"
#include "tests/sampling/gaussian_toy.h"

namespace stepcast::sampling {
namespace {

// All points are one image, as many independent pixels: norms over it are those of a large picture.
#ifdef __OPTIMIZE__
constexpr int kPoints = 20'000;
#else
constexpr int kPoints = 2'000;  // slow builds look at fewer; the bounds follow
#endif

// Standard deviations of a point's coordinate, of a product of two and of its mode, which are all about 1 or below: the
// error of an average over the points is this much. Five times that fails a right sampler once in a million runs, and
// seeds are fixed.
const double kSampling = 5.0 / std::sqrt(static_cast<double>(kPoints));

struct Plan {
  int steps;
  double discretisation;  // allowed on top of the sampling error: what so many steps of the method may leave
  std::optional<double> eta = std::nullopt;
};

Plan PlanFor(Sampler sampler) {
  switch (sampler) {
    // First order: errors fall with 1/n.
    case Sampler::kDdim:
    case Sampler::kEuler:
    case Sampler::kEdmEuler:
      return {100, 0.03};
    // Stochastic: an Euler-Maruyama step loses variance in proportion to its length.
    case Sampler::kDdpm:
    case Sampler::kSdeVp:
      return {250, 0.03};
    case Sampler::kEulerAncestral:
      return {150, 0.03};
    case Sampler::kDpm2Ancestral:
    case Sampler::kDpmpp2mSde:
      return {80, 0.03};
    // The corrector's step comes from norms, the predictor's from n levels between 0.01 and 50.
    case Sampler::kSdeVe:
      return {150, 0.03};
    // The weights of modes are settled at levels between them, in few steps.
    case Sampler::kAnnealedLangevin:
      return {60, 0.04};
    // Exact but for the noise schedule's ends: the denoiser is a perfect consistency function, and TCD at eta 1 goes to
    // its end.
    case Sampler::kLcm:
      return {4, 0.01};
    case Sampler::kTcd:
      return {4, 0.01, 1.0};
    // Second order and above.
    default:
      return {40, 0.02};
  }
}

NoiseScheduleConfig ToyConfig(PredictionType prediction) {
  NoiseScheduleConfig config;
  config.beta_start = 1e-4;
  config.beta_end = 0.02;
  config.beta_schedule = BetaSchedule::kLinear;
  config.prediction_type = prediction;
  config.clip_sample = false;  // the points reach beyond 1
  return config;
}

// A perfect network: it sees what a real one would, scaled latents and a timestep.
class ToyDenoiser {
 public:
  ToyDenoiser(const NoiseScheduleConfig& config, Sampler sampler, bool distilled = false)
      : schedule_(NoiseSchedule::Create(ResolveSettings(config, {}).value()).value()),
        prediction_(*config.prediction_type),
        distilled_(distilled),
        edm_(sampler == Sampler::kEdmEuler || sampler == Sampler::kEdmDpmpp) {}

  std::vector<float> operator()(absl::Span<const float> input, const Evaluation& evaluation) const {
    return edm_ ? Preconditioned(input, evaluation.timestep) : Plain(input, evaluation.timestep);
  }

 private:
  std::vector<float> Plain(absl::Span<const float> input, double timestep) const {
    const ToyLevel level(schedule_, timestep);
    const std::vector<float> clean = distilled_ ? GaussianToy::FlowEnds(input, level.alpha, level.sigma)
                                                : GaussianToy::PosteriorMeans(input, level.alpha, level.sigma);
    if (prediction_ == PredictionType::kSample) return clean;
    std::vector<float> output(input.size());
    for (size_t i = 0; i < output.size(); ++i) {
      const double noise = (input[i] - level.alpha * clean[i]) / level.sigma;
      const bool v = prediction_ == PredictionType::kVPrediction;
      output[i] = static_cast<float>(v ? level.alpha * noise - level.sigma * clean[i] : noise);
    }
    return output;
  }

  // Karras et al. 2022, table 1: F of clean = c_skip x + c_out F, told ln(sigma) / 4. Its sign is turned for
  // v-predicting models.
  std::vector<float> Preconditioned(absl::Span<const float> input, double timestep) const {
    constexpr double kSigmaData = 0.5;
    const double sigma = std::exp(4.0 * timestep);
    const double norm = std::hypot(sigma, kSigmaData);
    std::vector<float> x(input.begin(), input.end());
    for (float& value : x) value = static_cast<float>(value * norm);
    const std::vector<float> clean = GaussianToy::PosteriorMeans(x, 1.0, sigma);
    const double sign = prediction_ == PredictionType::kVPrediction ? -1.0 : 1.0;
    std::vector<float> output(input.size());
    for (size_t i = 0; i < output.size(); ++i) {
      const double skip = kSigmaData * kSigmaData / (norm * norm) * x[i];
      output[i] = static_cast<float>(sign * (clean[i] - skip) / (sigma * kSigmaData / norm));
    }
    return output;
  }

  NoiseSchedule schedule_;
  PredictionType prediction_;
  bool distilled_;
  bool edm_;
};

void ExpectToyMoments(const std::vector<float>& points, double discretisation) {
  const GaussianToy::Moments exact = GaussianToy::Exact();
  const GaussianToy::Moments got = GaussianToy::Of(points);
  const double bound = kSampling + discretisation;
  for (int i = 0; i < 2; ++i) EXPECT_NEAR(got.mean[i], exact.mean[i], bound) << "mean " << i;
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(got.covariance[i], exact.covariance[i], bound) << "covariance " << i;
  EXPECT_NEAR(got.weight, exact.weight, 0.5 * kSampling + discretisation);
  testing::Test::RecordProperty(
      "errors",
      absl::StrFormat("%.4f %.4f | %.4f %.4f %.4f | %.4f", got.mean[0] - exact.mean[0], got.mean[1] - exact.mean[1],
                      got.covariance[0] - exact.covariance[0], got.covariance[1] - exact.covariance[1],
                      got.covariance[2] - exact.covariance[2], got.weight - exact.weight));
}

std::vector<float> PaintToy(const SamplingProgram& program, const ToyDenoiser& denoiser, uint64_t seed) {
  NoiseGenerator generator(seed);
  std::vector<float> noise(2 * kPoints);
  generator.Fill(absl::MakeSpan(noise));
  return RunProgram(program, StartLatents(program.start, {}, noise), denoiser, generator);
}

std::string Name(const testing::TestParamInfo<Sampler>& info) { return std::string(SamplerName(info.param)); }

class StatisticsTest : public testing::TestWithParam<Sampler> {};

INSTANTIATE_TEST_SUITE_P(All, StatisticsTest, testing::ValuesIn(SupportedSamplers()), Name);

TEST_P(StatisticsTest, PointsHaveTheMomentsOfTheMixture) {
  const Plan plan = PlanFor(GetParam());
  const NoiseScheduleConfig config = ToyConfig(PredictionType::kEpsilon);
  const absl::StatusOr<SharedProgram> program =
      Compile(config, {.sampler = GetParam(), .steps = plan.steps, .eta = plan.eta});
  ASSERT_TRUE(program.ok()) << program.status();
  const bool distilled = GetParam() == Sampler::kLcm || GetParam() == Sampler::kTcd;
  ExpectToyMoments(PaintToy(**program, ToyDenoiser(config, GetParam(), distilled), 11), plan.discretisation);
}

// On a denoiser that is not distilled TCD is a first-order method: deterministic at eta 0, stochastic above.
TEST(TcdStatisticsTest, AnOrdinaryDenoiserInManySteps) {
  const NoiseScheduleConfig config = ToyConfig(PredictionType::kEpsilon);
  const ToyDenoiser denoiser(config, Sampler::kTcd);
  for (const double eta : {0.0, 0.3}) {
    SamplerSpec spec{.sampler = Sampler::kTcd, .steps = 200, .eta = eta};
    spec.options.original_inference_steps = 200;
    ExpectToyMoments(PaintToy(*Compile(config, spec).value(), denoiser, 17), 0.03);
  }
}

// Every share of the noise between the ODE and the SDE has the same marginals.
TEST(SdeVpStatisticsTest, FromTheProbabilityFlowToTheSde) {
  const NoiseScheduleConfig config = ToyConfig(PredictionType::kVPrediction);
  const ToyDenoiser denoiser(config, Sampler::kSdeVp);
  for (const double eta : {0.0, 0.5, 1.0}) {
    const SamplerSpec spec{.sampler = Sampler::kSdeVp, .steps = 500, .eta = eta};
    ExpectToyMoments(PaintToy(*Compile(config, spec).value(), denoiser, 29), 0.015);
  }
}

// Without noise each point goes where the flow takes it, and an error of first order halves with the steps.
TEST(SdeVpStatisticsTest, TheOdeFollowsTheFlow) {
  const NoiseScheduleConfig config = ToyConfig(PredictionType::kEpsilon);
  const ToyDenoiser denoiser(config, Sampler::kSdeVp);
  const NoiseSchedule schedule = NoiseSchedule::Create(ResolveSettings(config, {}).value()).value();
  std::vector<float> noise(2 * kPoints);
  NoiseGenerator(31).Fill(absl::MakeSpan(noise));
  const ToyLevel first(schedule, 999.0);
  const std::vector<float> ends = GaussianToy::FlowEnds(noise, first.alpha, first.sigma);
  std::vector<double> errors;
  for (const int steps : {125, 250, 500}) {
    const SamplerSpec spec{.sampler = Sampler::kSdeVp, .steps = steps, .eta = 0.0};
    const std::vector<float> points = PaintToy(*Compile(config, spec).value(), denoiser, 31);
    double squares = 0.0;
    for (size_t i = 0; i < points.size(); ++i) squares += std::pow(points[i] - ends[i], 2);
    errors.push_back(std::sqrt(squares / points.size()));
  }
  EXPECT_LT(errors[2], 0.05);
  EXPECT_NEAR(errors[0] / errors[1], 2.0, 0.3);
  EXPECT_NEAR(errors[1] / errors[2], 2.0, 0.3);
}

// Churn takes noise out and puts it in again; as in diffusers, the denoiser does not see it, so little of it is safe.
TEST(EulerStatisticsTest, SomeChurnKeepsTheDistribution) {
  const NoiseScheduleConfig config = ToyConfig(PredictionType::kEpsilon);
  SamplerSpec spec{.sampler = Sampler::kEuler, .steps = 100};
  spec.options.churn = 1.0;
  ExpectToyMoments(PaintToy(*Compile(config, spec).value(), ToyDenoiser(config, Sampler::kEuler), 23), 0.05);
}

// The same through the other predictions, where noise, v and x0 are one another's mirror.
TEST(ToyPredictionTest, VAndSampleGiveTheSamePoints) {
  for (const Sampler sampler : {Sampler::kDdim, Sampler::kHeun, Sampler::kAnnealedLangevin}) {
    std::vector<std::vector<float>> painted;
    for (const PredictionType prediction :
         {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample}) {
      const NoiseScheduleConfig config = ToyConfig(prediction);
      const SharedProgram program = Compile(config, {.sampler = sampler, .steps = 12}).value();
      painted.push_back(PaintToy(*program, ToyDenoiser(config, sampler), 5));
    }
    for (size_t i = 0; i < painted[0].size(); ++i) {
      // float32 of x0 = (latents - sigma * noise) / alpha, where alpha is 1/157 at the start.
      ASSERT_NEAR(painted[1][i], painted[0][i], 2e-2) << SamplerName(sampler);
      ASSERT_NEAR(painted[2][i], painted[0][i], 2e-2) << SamplerName(sampler);
    }
  }
}

}  // namespace
}  // namespace stepcast::sampling

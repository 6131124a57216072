#include <gtest/gtest.h>

#include <cmath>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

SamplerSpec Spec(int order = 2, int steps = 10) {
  SamplerSpec spec{.sampler = Sampler::kDeis, .steps = steps};
  spec.options.solver_order = order;
  return spec;
}

TEST(DeisTest, PublishedFullLoops) {
  constexpr double kUnknown = -1.0;
  NoiseScheduleConfig v;
  v.prediction_type = PredictionType::kVPrediction;
  SamplerSpec from_step_8 = Spec();
  from_step_8.strength = 0.2;
  const UpstreamCase cases[] = {
      {"epsilon", {{}, Spec()}, kUnknown, 0.23916},
      {"v_prediction", {v, Spec()}, kUnknown, 0.091, 1e-3},  // published with three decimals
      {"noise from step 8", {{}, from_step_8}, 315.3016, 0.41054},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

// The class knows no final_sigmas_type: its noise form has no value at sigma 0.
TEST(DeisTest, AlwaysEndsAboveZero) {
  NoiseScheduleConfig config;
  config.final_sigmas_type = FinalSigmas::kZero;
  for (const SigmaSchedule schedule : {SigmaSchedule::kDefault, SigmaSchedule::kKarras}) {
    SamplerSpec spec = Spec();
    spec.sigma_schedule = schedule;
    EXPECT_TRUE(Compile(config, spec).ok());
  }
}

// Where the true noise is a polynomial in ln rho, the step is exact: a constant for order 1, a line for 2, a parabola
// for 3. The latents then follow x = alpha * (c + integral of the noise over rho).
TEST(DeisTest, IntegratesPolynomialsOfItsOrderExactly) {
  NoiseScheduleConfig config;
  config.lower_order_final = false;
  const SharedProgram levels = Compile({}, Spec(1, 8)).value();  // for alpha and rho of each step
  std::vector<double> alphas;
  std::vector<double> rhos;
  for (const Evaluation& e : levels->evaluations) {
    alphas.push_back(1.0 / e.x0_from_latents);
    rhos.push_back(-e.x0_from_output);  // sigma / alpha
  }
  for (const int order : {1, 2, 3}) {
    const auto noise = [&](double rho) { return std::pow(std::log(rho) + 3.0, order - 1); };
    const SharedProgram program = Compile(config, Spec(order, 8)).value();
    ReferenceInterpreter image(*program, {0.0f});
    for (size_t i = 0; i + 1 < 8; ++i) {
      const double before = image.slot(Slot::kLatents)[0] / alphas[i];
      image.Step(std::vector<float>{static_cast<float>(noise(rhos[i]))});
      const double moved = image.slot(Slot::kLatents)[0] / alphas[i + 1] - before;
      if (i + 1 < static_cast<size_t>(order)) continue;  // of lower order
      double integral = 0.0;
      constexpr int kPieces = 20'000;
      for (int piece = 0; piece < kPieces; ++piece) {
        const double rho = rhos[i] + (rhos[i + 1] - rhos[i]) * (piece + 0.5) / kPieces;
        integral += noise(rho) * (rhos[i + 1] - rhos[i]) / kPieces;
      }
      // float32 latents: their rounding, divided by alphas down to 6e-3, is all that differs.
      EXPECT_NEAR(moved, integral, 1e-4 * (1.0 + std::abs(before) + std::abs(integral))) << order << " step " << i;
    }
  }
}

}  // namespace
}  // namespace stepcast::sampling

#include "core/sampling_types.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "absl/hash/hash.h"

namespace stepcast {
namespace {

// Every field decides equality and, here, the hash: a cache must never mistake one schedule for another.
TEST(NoiseScheduleConfigTest, EveryFieldCounts) {
  using Config = NoiseScheduleConfig;
  const std::vector<std::function<void(Config&)>> changes = {
      [](Config& c) { c.scheduler_class = "DDIMScheduler"; },
      [](Config& c) { c.num_train_timesteps = 1000; },
      [](Config& c) { c.beta_start = 0.1; },
      [](Config& c) { c.beta_end = 0.1; },
      [](Config& c) { c.beta_schedule = BetaSchedule::kLinear; },
      [](Config& c) { c.trained_betas = {0.1}; },
      [](Config& c) { c.prediction_type = PredictionType::kEpsilon; },
      [](Config& c) { c.timestep_spacing = TimestepSpacing::kLinspace; },
      [](Config& c) { c.steps_offset = 0; },
      [](Config& c) { c.clip_sample = false; },
      [](Config& c) { c.clip_sample_range = 1.0; },
      [](Config& c) { c.thresholding = false; },
      [](Config& c) { c.dynamic_thresholding_ratio = 0.9; },
      [](Config& c) { c.sample_max_value = 1.0; },
      [](Config& c) { c.set_alpha_to_one = false; },
      [](Config& c) { c.rescale_betas_zero_snr = false; },
      [](Config& c) { c.variance_type = VarianceType::kFixedSmall; },
      [](Config& c) { c.use_karras_sigmas = false; },
      [](Config& c) { c.use_exponential_sigmas = false; },
      [](Config& c) { c.use_beta_sigmas = false; },
      [](Config& c) { c.use_lu_lambdas = false; },
      [](Config& c) { c.final_sigmas_type = FinalSigmas::kZero; },
      [](Config& c) { c.solver_order = 2; },
      [](Config& c) { c.solver_type = SolverType::kMidpoint; },
      [](Config& c) { c.algorithm_type = SolverAlgorithm::kDpmSolver; },
      [](Config& c) { c.predict_x0 = false; },
      [](Config& c) { c.disable_corrector = {0}; },
      [](Config& c) { c.lambda_min_clipped = -5.1; },
      [](Config& c) { c.lower_order_final = false; },
      [](Config& c) { c.euler_at_final = false; },
      [](Config& c) { c.skip_prk_steps = false; },
      [](Config& c) { c.original_inference_steps = 50; },
      [](Config& c) { c.timestep_scaling = 10.0; },
      [](Config& c) { c.sigma_min = 0.1; },
      [](Config& c) { c.sigma_max = 1.0; },
      [](Config& c) { c.sigma_data = 0.5; },
      [](Config& c) { c.rho = 7.0; },
      [](Config& c) { c.edm_sigma_schedule = SigmaSchedule::kKarras; },
      [](Config& c) { c.own_class.steps_offset = 1; },
      [](Config& c) { c.own_class.clip_sample = false; },
      [](Config& c) { c.own_class.skip_prk_steps = true; },
  };
  const Config plain;
  for (size_t i = 0; i < changes.size(); ++i) {
    Config changed;
    changes[i](changed);
    EXPECT_NE(changed, plain) << i;
    EXPECT_NE(absl::HashOf(changed), absl::HashOf(plain)) << i;
    Config same;
    changes[i](same);
    EXPECT_EQ(changed, same) << i;
    EXPECT_EQ(absl::HashOf(changed), absl::HashOf(same)) << i;
  }
}

}  // namespace
}  // namespace stepcast

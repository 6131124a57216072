// What holds for the samplers of the DPM-Solver, UniPC, DEIS and EDM families beyond properties_test.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "sampling/compile/compile.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr PredictionType kPredictions[] = {PredictionType::kEpsilon, PredictionType::kVPrediction,
                                           PredictionType::kSample};
constexpr TimestepSpacing kSpacings[] = {TimestepSpacing::kLinspace, TimestepSpacing::kLeading,
                                         TimestepSpacing::kTrailing};

bool IsEdm(Sampler sampler) { return sampler == Sampler::kEdmEuler || sampler == Sampler::kEdmDpmpp; }

const std::vector<Sampler>& Solvers() {
  static const auto& solvers =
      *new std::vector<Sampler>{Sampler::kDpmpp2m, Sampler::kDpmpp2mSde, Sampler::kDpmpp3m,  Sampler::kDpmppSinglestep,
                                Sampler::kUnipc,   Sampler::kDeis,       Sampler::kEdmEuler, Sampler::kEdmDpmpp};
  return solvers;
}

// Build refuses what is not finite, so compiling proves it; numbers must be sane as well.
void ExpectSane(const SamplingProgram& program, const std::string& what) {
  for (const Evaluation& e : program.evaluations) {
    for (const Term& term : e.transition) {
      ASSERT_TRUE(std::isfinite(term.coefficient) && std::abs(term.coefficient) < 1e6f) << what << " step " << e.step;
    }
  }
}

// Every number of steps 1..50 with every prediction type, spacing and sigma schedule that the sampler accepts.
TEST(SolverPropertiesTest, AllCoefficientsAreFinite) {
  for (const Sampler sampler : Solvers()) {
    for (const SigmaSchedule schedule : FindSampler(sampler)->sigma_schedules) {
      for (const PredictionType prediction : kPredictions) {
        if (IsEdm(sampler) && prediction == PredictionType::kSample) continue;  // refused, see edm_family_test
        for (const TimestepSpacing spacing : kSpacings) {
          // The other schedules span the whole table, whatever the spacing.
          if (schedule != SigmaSchedule::kDefault && spacing != TimestepSpacing::kLinspace) continue;
          NoiseScheduleConfig config;
          config.prediction_type = prediction;
          for (int steps = 1; steps <= 50; ++steps) {
            const SamplerSpec spec{
                .sampler = sampler, .steps = steps, .sigma_schedule = schedule, .timestep_spacing = spacing};
            const std::string what = absl::StrFormat("%s %s %s %d", SamplerName(sampler), SigmaScheduleName(schedule),
                                                     TimestepSpacingName(spacing), steps);
            const absl::StatusOr<SharedProgram> program = Compile(config, spec);
            ASSERT_TRUE(program.ok()) << what << ": " << program.status();
            ASSERT_EQ((*program)->evaluations.size(), static_cast<size_t>(steps)) << what;
            ASSERT_EQ((*program)->steps, steps) << what;
            ExpectSane(**program, what);
          }
        }
      }
    }
  }
}

// Final levels, orders and types, at the lengths where their rules meet: one step, one group, the few-steps bound.
TEST(SolverPropertiesTest, SolverKeysAreFinite) {
  for (const Sampler sampler : Solvers()) {
    for (const FinalSigmas final_sigmas : {FinalSigmas::kZero, FinalSigmas::kSigmaMin}) {
      for (const SolverType type : {SolverType::kMidpoint, SolverType::kHeun, SolverType::kBh1}) {
        for (const int order : {1, 2, 3}) {
          for (const SigmaSchedule schedule : {SigmaSchedule::kDefault, SigmaSchedule::kKarras}) {
            for (const int steps : {1, 2, 3, 4, 5, 14, 15, 16}) {
              NoiseScheduleConfig config;
              config.final_sigmas_type = final_sigmas;
              config.solver_type = type;
              config.solver_order = order;
              const SamplerSpec spec{.sampler = sampler, .steps = steps, .sigma_schedule = schedule};
              const absl::StatusOr<SharedProgram> program = Compile(config, spec);
              ASSERT_TRUE(program.ok()) << SamplerName(sampler) << " " << order << " " << steps << program.status();
              ExpectSane(**program, std::string(SamplerName(sampler)));
            }
          }
        }
      }
    }
  }
}

// Image-to-image runs the last floor(n * strength) steps of the full list, from the noise of the first of them.
TEST(SolverPropertiesTest, ImageToImageSlices) {
  for (const Sampler sampler : Solvers()) {
    for (const int steps : {1, 7, 10, 24}) {
      const SharedProgram full = Compile({}, {.sampler = sampler, .steps = steps}).value();
      for (const double strength : {0.15, 0.3, 0.58, 0.8, 1.0}) {
        const int executed = static_cast<int>(steps * strength);
        if (executed == 0) continue;
        SamplerSpec spec{.sampler = sampler, .steps = steps};
        spec.strength = strength;
        const SharedProgram part = Compile({}, spec).value();
        ASSERT_EQ(part->evaluations.size(), static_cast<size_t>(executed));
        const size_t skipped = full->evaluations.size() - part->evaluations.size();
        for (size_t i = 0; i < part->evaluations.size(); ++i) {
          const Evaluation& a = part->evaluations[i];
          const Evaluation& b = full->evaluations[i + skipped];
          ASSERT_EQ(a.timestep, b.timestep) << SamplerName(sampler) << " " << i;
          ASSERT_EQ(a.input_scale, b.input_scale);
          ASSERT_EQ(a.x0_from_latents, b.x0_from_latents);
          ASSERT_EQ(a.draws_noise, b.draws_noise);
          ASSERT_EQ(a.step, static_cast<int>(i));
        }
        // The noise of the first level: what x0 divides out there.
        const Evaluation& first = part->evaluations[0];
        if (!IsEdm(sampler)) {
          EXPECT_NEAR(part->start.image_coef * first.x0_from_latents, 1.0f, 1e-5f);
          EXPECT_NEAR(part->start.noise_coef, -part->start.image_coef * first.x0_from_output, 1e-5f);
        }
      }
    }
  }
}

}  // namespace
}  // namespace stepcast::sampling

#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

NoiseScheduleConfig Config(PredictionType prediction = PredictionType::kEpsilon) {
  NoiseScheduleConfig config;
  config.prediction_type = prediction;
  config.lower_order_final = false;
  config.final_sigmas_type = FinalSigmas::kSigmaMin;
  return config;
}

SamplerSpec Spec(SigmaSchedule schedule = SigmaSchedule::kDefault, int steps = 10) {
  return {.sampler = Sampler::kDpmppSinglestep, .steps = steps, .sigma_schedule = schedule};
}

TEST(DpmppSinglestepTest, PublishedFullLoops) {
  constexpr double kUnknown = -1.0;
  const NoiseScheduleConfig v = Config(PredictionType::kVPrediction);
  SamplerSpec from_step_5 = Spec();
  from_step_5.strength = 0.5;
  const UpstreamCase cases[] = {
      {"epsilon", {Config(), Spec()}, kUnknown, 0.2791},
      {"karras", {Config(), Spec(SigmaSchedule::kKarras)}, kUnknown, 0.2248},
      {"v_prediction", {v, Spec()}, kUnknown, 0.1453},
      {"v_prediction, karras", {v, Spec(SigmaSchedule::kKarras)}, kUnknown, 0.0649},
      {"noise from step 5", {Config(), from_step_5}, 269.2187, 0.3505},
  };
  for (const UpstreamCase& test : cases) ExpectPublished(test);
}

// "Uneven": from the fourth step of 50, the middle of a pair, and from latents that are no noised image.
TEST(DpmppSinglestepTest, PublishedLoopFromTheMiddleOfAPair) {
  SamplerSpec spec = Spec(SigmaSchedule::kDefault, 50);
  spec.strength = 0.94;
  const SharedProgram program = Compile(Config(), spec).value();
  ASSERT_EQ(program->evaluations.size(), 47u);
  NoiseGenerator noise(0);
  EXPECT_NEAR(MagnitudeOf(RunProgram(*program, DummySample(), DummyModel(), noise)).mean, 0.2574, 6e-5);
}

// 1, 2 or 3: a step of order 2 or 3 starts from the saved latents, of order 1 from its own.
std::vector<int> Orders(const SamplingProgram& program) {
  std::vector<int> orders;
  for (const Evaluation& e : program.evaluations) {
    int history = 0;
    bool saved = false;
    for (const Term& term : e.transition) {
      if (term.to != Slot::kLatents) continue;
      history += term.from == Slot::kHistory0 || term.from == Slot::kHistory1;
      saved |= term.from == Slot::kSaved;
    }
    // Of order 3, midpoint does not read the middle one.
    orders.push_back(saved ? std::max(history + 1, 2) : 1);
  }
  return orders;
}

TEST(DpmppSinglestepTest, OrderLists) {
  struct Row {
    const char* what;
    int steps;
    int order;
    bool lower_order_final;
    FinalSigmas final_sigmas;
    std::vector<int> orders;
  };
  const Row rows[] = {
      {"pairs", 6, 2, false, FinalSigmas::kSigmaMin, {1, 2, 1, 2, 1, 2}},
      {"pairs, ending low", 6, 2, true, FinalSigmas::kSigmaMin, {1, 2, 1, 2, 1, 1}},
      {"an odd number ends low by itself", 5, 2, false, FinalSigmas::kSigmaMin, {1, 2, 1, 2, 1}},
      {"sigma 0 ends low by itself", 6, 2, false, FinalSigmas::kZero, {1, 2, 1, 2, 1, 1}},
      {"triples", 6, 3, false, FinalSigmas::kSigmaMin, {1, 2, 3, 1, 2, 3}},
      {"triples, ending low", 6, 3, true, FinalSigmas::kSigmaMin, {1, 2, 3, 1, 2, 1}},
      {"triples and one", 7, 3, true, FinalSigmas::kSigmaMin, {1, 2, 3, 1, 2, 3, 1}},
      {"triples and two", 8, 3, true, FinalSigmas::kSigmaMin, {1, 2, 3, 1, 2, 3, 1, 2}},
      {"triples and two to 0", 8, 3, true, FinalSigmas::kZero, {1, 2, 3, 1, 2, 3, 1, 1}},
      {"two of three to 0", 2, 3, false, FinalSigmas::kZero, {1, 1}},
      {"one step", 1, 2, false, FinalSigmas::kZero, {1}},
      {"one step of three", 1, 3, false, FinalSigmas::kSigmaMin, {1}},
      {"first order", 3, 1, false, FinalSigmas::kSigmaMin, {1, 1, 1}},
  };
  for (const Row& row : rows) {
    NoiseScheduleConfig config = Config();
    config.lower_order_final = row.lower_order_final;
    config.final_sigmas_type = row.final_sigmas;
    config.solver_type = SolverType::kHeun;
    SamplerSpec spec = Spec(SigmaSchedule::kDefault, row.steps);
    spec.options.solver_order = row.order;
    EXPECT_EQ(Orders(*Compile(config, spec).value()), row.orders) << row.what;
  }
}

TEST(DpmppSinglestepTest, SdeFilesDrawAtEveryStep) {
  NoiseScheduleConfig config;
  EXPECT_FALSE(Compile(config, Spec()).value()->evaluations[0].draws_noise);
  config.algorithm_type = SolverAlgorithm::kSdeDpmSolverPlusPlus;
  const SharedProgram program = Compile(config, Spec()).value();
  for (const Evaluation& e : program->evaluations) EXPECT_TRUE(e.draws_noise);
}

}  // namespace
}  // namespace stepcast::sampling

#include <gtest/gtest.h>

#include "sampling/samplers/registry.h"
#include "tests/sampling/upstream_dummies.h"

namespace stepcast::sampling {
namespace {

// 1 + how many earlier predictions the step's latents read.
std::vector<int> Orders(const SamplingProgram& program) {
  std::vector<int> orders;
  for (const Evaluation& e : program.evaluations) {
    int order = 1;
    for (const Term& term : e.transition) {
      if (term.to == Slot::kLatents && (term.from == Slot::kHistory0 || term.from == Slot::kHistory1)) ++order;
    }
    orders.push_back(order);
  }
  return orders;
}

TEST(Dpmpp3mTest, OrderRule) {
  struct Row {
    int steps;
    bool lower_order_final;
    FinalSigmas final_sigmas;
    std::vector<int> orders;
  };
  const Row rows[] = {
      {1, true, FinalSigmas::kZero, {1}},
      {2, true, FinalSigmas::kZero, {1, 1}},
      {3, true, FinalSigmas::kZero, {1, 2, 1}},
      {6, true, FinalSigmas::kZero, {1, 2, 3, 3, 2, 1}},
      {6, true, FinalSigmas::kSigmaMin, {1, 2, 3, 3, 2, 1}},
      {6, false, FinalSigmas::kZero, {1, 2, 3, 3, 3, 1}},
      {6, false, FinalSigmas::kSigmaMin, {1, 2, 3, 3, 3, 3}},
      {16, true, FinalSigmas::kZero, {1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1}},
  };
  for (const Row& row : rows) {
    NoiseScheduleConfig config;
    config.lower_order_final = row.lower_order_final;
    config.final_sigmas_type = row.final_sigmas;
    const SharedProgram program = Compile(config, {.sampler = Sampler::kDpmpp3m, .steps = row.steps}).value();
    EXPECT_EQ(Orders(*program), row.orders) << row.steps;
  }
}

TEST(Dpmpp3mTest, ImageToImageStartsWithoutHistory) {
  SamplerSpec spec{.sampler = Sampler::kDpmpp3m, .steps = 10};
  spec.strength = 0.6;
  EXPECT_EQ(Orders(*Compile({}, spec).value()), (std::vector<int>{1, 2, 3, 3, 2, 1}));
}

TEST(Dpmpp3mTest, IsTheThirdOrderWhateverTheFileSays) {
  const SamplerSpec spec{.sampler = Sampler::kDpmpp3m, .steps = 10};
  NoiseScheduleConfig config;
  config.solver_order = 1;
  EXPECT_EQ(*Compile(config, spec).value(), *Compile({}, spec).value());
  SamplerSpec option = spec;
  option.options.solver_order = 3;
  EXPECT_EQ(Compile({}, option).status().code(), absl::StatusCode::kInvalidArgument);
  // And the multistep of the class with solver_order 3.
  SamplerSpec second{.sampler = Sampler::kDpmpp2m, .steps = 10};
  second.options.solver_order = 3;
  EXPECT_EQ(Compile({}, second).value()->evaluations, Compile({}, spec).value()->evaluations);
}

}  // namespace
}  // namespace stepcast::sampling

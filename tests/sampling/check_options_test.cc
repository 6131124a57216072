#include "sampling/compile/check_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

SamplerDefinition Nothing() {
  SamplerDefinition definition = {};
  definition.sampler = Sampler::kEuler;
  return definition;
}

SamplerDefinition Everything() {
  SamplerDefinition definition = Nothing();
  definition.accepts = {.max_solver_order = 3,
                        .churn = true,
                        .original_inference_steps = true,
                        .langevin = true,
                        .timesteps = true,
                        .sigmas = true};
  return definition;
}

struct Row {
  const char* message;  // its beginning
  std::function<void(SamplerSpec&)> set;
};

void ExpectRefused(const absl::Status& status, const Row& row) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.message;
  EXPECT_THAT(std::string(status.message()), StartsWith(row.message));
}

TEST(CheckOptionsTest, WhatASamplerLacksIsRefusedByName) {
  const Row rows[] = {
      {"sampler_options.solver_order: does not go with EULER; ", [](auto& s) { s.options.solver_order = 2; }},
      {"sampler_options.churn: does not go with EULER; ", [](auto& s) { s.options.churn = 1.0; }},
      {"sampler_options.s_noise: does not go with EULER; ", [](auto& s) { s.options.s_noise = 1.0; }},
      {"sampler_options.original_inference_steps: does not go with EULER; ",
       [](auto& s) { s.options.original_inference_steps = 50; }},
      {"sampler_options.langevin: does not go with EULER; ", [](auto& s) { s.options.langevin.final_denoise = true; }},
      {"timesteps: does not go with EULER; ", [](auto& s) { s.timesteps = {5, 1}; }},
      {"sigmas: does not go with EULER; ", [](auto& s) { s.sigmas = {5, 1, 0}; }},
  };
  for (const Row& row : rows) {
    SamplerSpec spec{.sampler = Sampler::kEuler, .steps = 2};
    row.set(spec);
    ExpectRefused(CheckOptions(spec, Nothing()), row);
    EXPECT_TRUE(CheckOptions(spec, Everything()).ok()) << row.message;
  }
  EXPECT_TRUE(CheckOptions({}, Nothing()).ok());
}

TEST(CheckOptionsTest, OutOfRangeIsRefused) {
  const Row rows[] = {
      {"sampler_options.solver_order: got 0; allowed are 1 to 3", [](auto& s) { s.options.solver_order = 0; }},
      {"sampler_options.solver_order: got 4; allowed are 1 to 3", [](auto& s) { s.options.solver_order = 4; }},
      {"sampler_options.churn: got -1;", [](auto& s) { s.options.churn = -1.0; }},
      {"sampler_options.churn: got nan;", [](auto& s) { s.options.churn = std::nan(""); }},
      {"sampler_options.s_noise: got inf;", [](auto& s) { s.options.s_noise = HUGE_VAL; }},
      {"sampler_options.langevin.levels: got 0;", [](auto& s) { s.options.langevin.levels = 0; }},
      {"sampler_options.langevin.levels: got 9, each of which is a step, but steps is",
       [](auto& s) { s.options.langevin.levels = 9; }},
      {"sampler_options.langevin.levels: got 1001;", [](auto& s) { s.options.langevin.levels = 1001; }},
      {"sampler_options.langevin.inner_steps: got -2;", [](auto& s) { s.options.langevin.inner_steps = -2; }},
      {"sampler_options.langevin.epsilon: got 0;", [](auto& s) { s.options.langevin.epsilon = 0.0; }},
      {"timesteps: entry 1 is 9; entries must be", [](auto& s) { s.timesteps = {9, 9}; }},
      {"timesteps: entry 1 is -1;", [](auto& s) { s.timesteps = {9, -1}; }},
      {"timesteps: entry 0 is inf;", [](auto& s) { s.timesteps = {HUGE_VAL, 1}; }},
      {"timesteps: entry 1 is nan;", [](auto& s) { s.timesteps = {9, std::nan("")}; }},
      {"timesteps: the list makes 3 steps, but steps is 2", [](auto& s) { s.timesteps = {9, 5, 1}; }},
      {"sigmas: the list makes 1 steps (one less than its entries), but steps is 2",
       [](auto& s) { s.sigmas = {9, 0}; }},
      {"sigmas: the list makes 0 steps", [](auto& s) { s.sigmas = {9}; }},
      {"sigmas: cannot be set beside timesteps",
       [](auto& s) {
         s.timesteps = {9, 5};
         s.sigmas = {9, 5, 0};
       }},
      {"timesteps: cannot be set beside timestep_spacing",
       [](auto& s) {
         s.timesteps = {9, 5};
         s.timestep_spacing = TimestepSpacing::kTrailing;
       }},
      {"sigmas: cannot be set beside sigma_schedule",
       [](auto& s) {
         s.sigmas = {9, 5, 0};
         s.sigma_schedule = SigmaSchedule::kKarras;
       }},
  };
  for (const Row& row : rows) {
    SamplerSpec spec{.sampler = Sampler::kEuler, .steps = 2};
    row.set(spec);
    ExpectRefused(CheckOptions(spec, Everything()), row);
  }
}

TEST(CheckAgainstModelTest, TrainingTimestepsAreTheLimit) {
  const ScheduleSettings settings{.num_train_timesteps = 100};
  SamplerSpec spec;
  spec.options.original_inference_steps = 100;
  spec.timesteps = {99, 3};
  EXPECT_TRUE(CheckAgainstModel(spec, settings).ok());
  spec.timesteps = {99.5, 3};
  EXPECT_THAT(std::string(CheckAgainstModel(spec, settings).message()),
              HasSubstr("timesteps: entry 0 is 99.5; the model was trained on 0 to 99"));
  spec.options.original_inference_steps = 101;
  EXPECT_THAT(std::string(CheckAgainstModel(spec, settings).message()),
              HasSubstr("sampler_options.original_inference_steps: got 101; allowed are 1 to 100"));
}

}  // namespace
}  // namespace stepcast::sampling

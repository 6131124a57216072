// Jobs of several passes beside others: who waits for whom, and that nothing of it is forgotten.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "scheduler/decide/admission.h"
#include "tests/support/simulation.h"

namespace stepcast {
namespace {

// Ticks by area: 5 ms and 10 a row of 16 x 16 cells; encodes 20 ms, decodes half a row.
absl::Duration LatencyOf(const StepPlan& plan) {
  if (plan.phase() == Phase::kEncode) return absl::Milliseconds(20);
  const double area = plan.key.latent_height * plan.key.latent_width / 256.0;
  if (plan.phase() == Phase::kDecode) return absl::Milliseconds(5 * area * plan.rows);
  return absl::Milliseconds(5 + 10 * area * plan.rows);
}

SimulationOptions Options() {
  SimulationOptions options;
  options.policy.name = "slo";
  options.limits = {.max_denoise_rows = 8};
  options.embeddings_cached = true;
  options.latency = LatencyOf;
  for (const int side : {16, 32}) {
    for (const Phase phase : {Phase::kDenoise, Phase::kDecode}) {
      CostEntry& entry = options.initial_costs.emplace_back();
      entry.key = {phase, "emoji", side, side};
      for (const int rows : {1, 2, 4}) {
        StepPlan plan;
        plan.key = entry.key;
        plan.rows = rows;
        entry.points.push_back({rows, LatencyOf(plan)});
      }
    }
  }
  return options;
}

// Seconds from each job's coming to its end, from the simulation's log.
std::map<int, double> Stays(const Simulation& simulation) {
  std::map<int, double> came, stays;
  for (const std::string& line : simulation.log()) {
    double at = 0.0;
    int job = 0;
    if (std::sscanf(line.c_str(), "%lf job %d comes", &at, &job) == 2 && line.find("comes") != std::string::npos) {
      came[job] = at;
    } else if (line.find(" ends OK") != std::string::npos) {
      std::sscanf(line.c_str(), "%lf job %d", &at, &job);
      stays[job] = at - came[job];
    }
  }
  return stays;
}

TEST(StagesTest, InteractivePicturesDoNotWaitForASecondPass) {
  SimulationOptions options = Options();
  options.keep_log = true;
  Simulation simulation(options);
  for (int i = 1; i <= 2; ++i) {
    simulation.Submit({.steps = 20, .second_steps = 40, .seed = i, .priority = Priority::kBatch});
  }
  for (int i = 0; i < 30; ++i) {
    simulation.At(absl::Milliseconds(100 + 330 * i), [&simulation, i] {
      simulation.Submit({.steps = 3, .seed = 10 + i, .priority = Priority::kInteractive});
    });
  }
  ASSERT_TRUE(simulation.RunUntilIdle());
  EXPECT_EQ(simulation.stories().complaint(), "");
  const std::map<int, double> stays = Stays(simulation);
  ASSERT_EQ(stays.size(), 32u);
  double longest = 0.0;
  for (const auto& [job, stay] : stays) longest = job > 2 ? std::max(longest, stay) : longest;
  // Its own 3 x 25 ms and 5 for the decode; the tick of the large pass that ran when it came, 2 x 85; one in its
  // company.
  EXPECT_LE(longest, 0.080 + 0.170 + 0.060);
}

TEST(StagesTest, AdmissionCountsBothPasses) {
  Simulation simulation(Options());
  simulation.Submit({.steps = 1});
  NullEngineMetrics metrics;
  const auto total = [&](const TestJob& job) {
    const auto verdict = CheckAdmission({}, MakeSpecs(job, nullptr), simulation.scheduler(), absl::UnixEpoch());
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return absl::ToDoubleMilliseconds(verdict->total);
  };
  const double one = total({.steps = 4, .seed = 2}), two = total({.steps = 4, .second_steps = 4, .seed = 2});
  // Four ticks of two rows of four times the area, and a decode of that size in place of a small one.
  EXPECT_NEAR(two - one, 4 * 85 + 15, 2);
}

TEST(StagesTest, ASplitEvaluationIsPricedAsItsParts) {
  Simulation simulation(Options());
  const auto alone = [&](const TestJob& job) {
    return absl::ToDoubleMilliseconds(simulation.scheduler().costs().Isolated(MakeSpecs(job, nullptr).front()));
  };
  // Ticks of eight rows and one of four, beyond the measured ones in proportion.
  EXPECT_NEAR(alone({.steps = 1, .rows = 20}) - alone({.steps = 1, .rows = 4}), 2 * 85, 1);
}

}  // namespace
}  // namespace stepcast

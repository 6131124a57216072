// Small scenarios whose whole log is kept in tests/golden/. A change of behaviour shows as a diff there; run the
// test with STEPCAST_UPDATE_GOLDEN=1 to accept it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/simulation.h"

namespace stepcast {
namespace {

struct Scenario {
  const char* name;  // of the file
  const char* what;  // its first line
  SimulationOptions options;
  std::function<void(Simulation&)> script;
};

// A denoise tick of 60 ms and 20 a row (the knee is at 6 of 8 rows), 20 ms a prompt, 50 a picture.
SimulationOptions Slo(ExecutorLimits limits = {.max_denoise_rows = 8}, bool embeddings_cached = true) {
  SimulationOptions options;
  options.policy.name = "slo";
  options.limits = limits;
  options.embeddings_cached = embeddings_cached;
  options.latency = [](const StepPlan& plan) {
    if (plan.phase() == Phase::kEncode) return absl::Milliseconds(20 * plan.rows);
    if (plan.phase() == Phase::kDecode) return absl::Milliseconds(50 * plan.rows);
    return absl::Milliseconds(60 + 20 * plan.rows);
  };
  options.initial_costs = {
      {{Phase::kEncode, "emoji"}, {{1, absl::Milliseconds(20)}, {8, absl::Milliseconds(160)}}},
      {{Phase::kDenoise, "emoji", 16, 16}, {{1, absl::Milliseconds(80)}, {8, absl::Milliseconds(220)}}},
      {{Phase::kDecode, "emoji", 16, 16}, {{1, absl::Milliseconds(50)}, {4, absl::Milliseconds(200)}}}};
  return options;
}

// The same of a model whose pictures of more than 64 pixels come in tiles.
SimulationOptions TiledSlo() {
  SimulationOptions options = Slo();
  for (CostEntry& entry : options.initial_costs) entry.key.model = "tiled";
  options.initial_costs.push_back(
      {{Phase::kDenoise, "tiled", 32, 32}, {{1, absl::Milliseconds(80)}, {8, absl::Milliseconds(220)}}});
  return options;
}

std::vector<Scenario> SloScenarios() {
  return {
      {"slo_tiled_picture_beside_small_ones",
       "slo: nine tiles of a large picture are decoded between the steps of small ones, which they hold up no longer "
       "than "
       "two of their ticks.",
       TiledSlo(),
       [](Simulation& s) {
         s.Submit({.model = "tiled", .width = 128, .height = 128, .steps = 1});
         s.At(absl::Milliseconds(120), [&s] {
           for (int i = 2; i <= 3; ++i) s.Submit({.model = "tiled", .steps = 4, .seed = i});
         });
       }},
      {"slo_knee_and_backlog",
       "slo: four jobs run three at a time, the knee; two more make a backlog, and ticks grow to the cap.", Slo(),
       [](Simulation& s) {
         for (int i = 1; i <= 4; ++i) s.Submit({.steps = 3, .seed = i});
         s.At(absl::Milliseconds(150), [&s] {
           for (int i = 5; i <= 6; ++i) s.Submit({.steps = 2, .seed = i});
         });
       }},
      {"slo_deadlines",
       "slo: a deadline keeps company out while it would be missed; a hopeless job ends before it costs anything.",
       Slo(),
       [](Simulation& s) {
         s.Submit({.steps = 6, .seed = 1});
         s.Submit({.steps = 6, .seed = 2});
         s.At(absl::Milliseconds(100), [&s] {
           s.Submit({.steps = 5, .seed = 3, .deadline = absl::UnixEpoch() + absl::Milliseconds(820)});
           s.Submit({.steps = 9, .seed = 4, .deadline = absl::UnixEpoch() + absl::Milliseconds(900)});
         });
       }},
      {"slo_classes",
       "slo: an interactive job leads at the next tick, batch jobs fill its ticks, and stay few while it was seen.",
       Slo(),
       [](Simulation& s) {
         for (int i = 1; i <= 5; ++i) s.Submit({.steps = 4, .seed = i, .priority = Priority::kBatch});
         s.At(absl::Milliseconds(100), [&s] { s.Submit({.steps = 2, .seed = 6, .priority = Priority::kInteractive}); });
       }},
      {"slo_phases",
       "slo: cold prompts and finished latents among running jobs; between two denoise ticks one quantum of them.",
       Slo({.max_denoise_rows = 8, .max_encode_jobs = 8, .max_decode_jobs = 4}, /*embeddings_cached=*/false),
       [](Simulation& s) {
         for (int i = 1; i <= 3; ++i) s.Submit({.steps = 3, .seed = i});
         s.At(absl::Milliseconds(250), [&s] {
           for (int i = 4; i <= 9; ++i) s.Submit({.steps = 4, .seed = i});
         });
       }},
      {"slo_parking", "slo: the device holds two jobs; an interactive one makes a batch job leave it for a while.",
       Slo({.max_denoise_rows = 4, .max_resident_jobs = 2}),
       [](Simulation& s) {
         for (int i = 1; i <= 2; ++i) s.Submit({.steps = 4, .seed = i, .priority = Priority::kBatch});
         s.At(absl::Milliseconds(200), [&s] { s.Submit({.steps = 2, .seed = 3, .priority = Priority::kInteractive}); });
       }},
  };
}

std::vector<Scenario> Scenarios() {
  const ExecutorLimits four_rows{.max_denoise_rows = 4, .max_encode_jobs = 2, .max_decode_jobs = 2};
  const ExecutorLimits five_rows{.max_denoise_rows = 5, .max_encode_jobs = 8, .max_decode_jobs = 4};
  return {
      {"lone_job",
       "One guided job: encode, four evaluations of two rows, decode.",
       {},
       [](Simulation& s) { s.Submit({}); }},
      {"join_and_leave",
       "fifo: a second job joins at the next tick and leaves at its own end.",
       {.embeddings_cached = true},
       [](Simulation& s) {
         s.Submit({.steps = 6});
         s.At(absl::Milliseconds(90), [&s] { s.Submit({.steps = 2, .seed = 2}); });
       }},
      {"sizes_alternate",
       "fifo: two sizes take turns; neither waits for the other to finish.",
       {.limits = four_rows, .embeddings_cached = true},
       [](Simulation& s) {
         s.Submit({.width = 128, .height = 128, .steps = 4});
         s.Submit({.steps = 3, .seed = 2});
         s.Submit({.steps = 3, .seed = 3});
       }},
      {"rows_of_one_and_two",
       "fifo, five rows: guided pairs are never split, a single row fills the gap.",
       {.limits = five_rows, .embeddings_cached = true},
       [](Simulation& s) {
         s.Submit({.steps = 2});
         s.Submit({.steps = 2, .seed = 2});
         s.Submit({.steps = 2, .seed = 3});
         s.Submit({.steps = 4, .guidance_scale = 1.0, .seed = 4});
         s.Submit({.steps = 4, .guidance_scale = 2.0, .unguided_tail = 3, .seed = 5});
       }},
      {"encode_burst",
       "fifo: six cold prompts while a job runs; encodes come in chunks between its steps.",
       {.limits = {.max_denoise_rows = 16, .max_encode_jobs = 2, .max_decode_jobs = 2}},
       [](Simulation& s) {
         s.Submit({.steps = 8});
         s.At(absl::Milliseconds(120), [&s] {
           for (int i = 2; i <= 7; ++i) s.Submit({.steps = 2, .seed = i});
         });
       }},
      {"split_evaluation",
       "fifo, five rows: an evaluation of twelve rows comes in parts, and others fill the ticks that its last one "
       "leaves.",
       {.limits = five_rows, .embeddings_cached = true},
       [](Simulation& s) {
         s.Submit({.steps = 2, .rows = 12});
         s.Submit({.steps = 3, .seed = 2});
       }},
      {"tiles_beside_small_pictures",
       "fifo, eight rows: the tiles of a large picture share forwards with a whole small one, and are decoded apart.",
       {.limits = {.max_denoise_rows = 8}, .embeddings_cached = true},
       [](Simulation& s) {
         s.Submit({.width = 128, .height = 128, .steps = 2, .rows = 6, .tile = 16});
         s.Submit({.steps = 3, .seed = 2});
       }},
      {"tiled_picture_beside_small_ones",
       "fifo: a large picture comes in nine tiles, and a small one steps between any two of them; a tile is decoded "
       "with whatever is of its size.",
       {.limits = {.max_denoise_rows = 8}, .embeddings_cached = true},
       [](Simulation& s) {
         s.Submit({.model = "tiled", .width = 128, .height = 128, .steps = 2});
         s.Submit({.model = "tiled", .steps = 4, .seed = 2});
       }},
      {"second_pass",
       "fifo: a picture in two passes beside a plain one; the larger pass is of another key, and is encoded no more.",
       {.limits = four_rows},
       [](Simulation& s) {
         s.Submit({.steps = 2, .second_steps = 2});
         s.Submit({.steps = 3, .seed = 2});
       }},
      {"cancel_and_deadline",
       "fifo: a cancel during a tick frees its rows for the next; a deadline stops a decode.",
       {.limits = four_rows, .embeddings_cached = true},
       [](Simulation& s) {
         const JobId first = s.Submit({.steps = 9}).front();
         s.Submit({.steps = 4, .seed = 2, .deadline = absl::UnixEpoch() + absl::Milliseconds(230)});
         s.Submit({.steps = 3, .seed = 3});
         s.At(absl::Milliseconds(100), [&s, first] { s.Cancel(first); });
       }},
      {"heun_with_previews",
       "A sampler with two evaluations a step, guided in its first half only; a preview every step.",
       {},
       [](Simulation& s) {
         s.Submit({.steps = 3, .evaluations_per_step = 2, .unguided_tail = 3, .preview_every = 1});
       }},
      {"serial",
       "serial: the same three jobs as in request_level, one after the other.",
       {.policy = {.name = "serial"}, .limits = four_rows},
       [](Simulation& s) {
         for (int i = 1; i <= 3; ++i) s.Submit({.steps = 2, .seed = i});
       }},
      {"request_level",
       "request_level, 200 ms delay: two fill a batch; the third waits for it and then in vain for company.",
       {.policy = {.name = "request_level", .max_queue_delay = absl::Milliseconds(200)}, .limits = four_rows},
       [](Simulation& s) {
         for (int i = 1; i <= 2; ++i) s.Submit({.steps = 2, .seed = i});
         s.At(absl::Milliseconds(50), [&s] { s.Submit({.steps = 2, .seed = 3}); });
       }},
      {"request_of_four",
       "One request for four images: four jobs, one of which fails in its second step.",
       {.limits = five_rows},
       [](Simulation& s) {
         s.device().SetFault([](const Job& job, Phase) {
           return job.spec().image_index == 1 && job.position() == 1 ? absl::InternalError("nan") : absl::OkStatus();
         });
         s.Submit({.steps = 3, .guidance_scale = 1.0, .image_count = 4});
       }},
  };
}

std::string LogOf(const Scenario& scenario) {
  Simulation simulation(scenario.options);
  scenario.script(simulation);
  EXPECT_TRUE(simulation.RunUntilIdle(1000)) << scenario.name;
  EXPECT_EQ(simulation.stories().complaint(), "") << scenario.name;
  std::string text = std::string("# ") + scenario.what + "\n";
  for (const std::string& line : simulation.log()) text += line + "\n";
  return text;
}

TEST(GoldenPlansTest, EveryScenarioGivesItsCommittedLog) {
  const bool update = std::getenv("STEPCAST_UPDATE_GOLDEN") != nullptr;
  std::vector<Scenario> scenarios = Scenarios();
  for (Scenario& scenario : SloScenarios()) scenarios.push_back(std::move(scenario));
  for (const Scenario& scenario : scenarios) {
    const std::string path = std::string(STEPCAST_SOURCE_DIR) + "/tests/golden/" + scenario.name + ".txt";
    const std::string log = LogOf(scenario);
    if (update) {
      std::ofstream(path) << log;
      continue;
    }
    std::ifstream file(path);
    ASSERT_TRUE(file) << path << " is missing; run this test with STEPCAST_UPDATE_GOLDEN=1";
    std::stringstream expected;
    expected << file.rdbuf();
    EXPECT_EQ(log, expected.str()) << scenario.name;
  }
}

}  // namespace
}  // namespace stepcast

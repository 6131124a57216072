#include "tools/simulate/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <numbers>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "scheduler/decide/admission.h"
#include "scheduler/loop/engine_loop.h"
#include "scheduler/recording/recorder.h"
#include "tests/support/decision.h"
#include "tests/support/fake_executor.h"
#include "tests/support/recording_sink.h"
#include "tests/support/simulation.h"

namespace stepcast::simulate {
namespace {

using testing::HasSubstr;

// The raw generator is the same everywhere; the standard library's distributions are not.
class Dice {
 public:
  explicit Dice(uint32_t seed) : bits_(seed) {}
  double Uniform() { return bits_() * 0x1p-32; }
  int Roll(int sides) { return static_cast<int>(bits_() % static_cast<uint32_t>(sides)); }
  double Exponential() { return -std::log1p(-Uniform()); }
  double Normal() { return std::sqrt(2.0 * Exponential()) * std::cos(2.0 * std::numbers::pi * Uniform()); }

 private:
  std::mt19937 bits_;
};

std::string PathOf(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name + ".rec";
  std::remove(path.c_str());
  return path;
}

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

absl::StatusOr<ReplayReport> ReplayFile(const std::string& path) {
  auto reader = RecordingReader::Open(path);
  if (!reader.ok()) return reader.status();
  return Replay(**reader);
}

// Tests run with every policy that is known here.
const char* const kPolicies[] = {"serial", "fifo", "request_level", "slo"};

class ReplayTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!MakePolicy({.name = GetParam()}).ok()) GTEST_SKIP() << "no policy " << GetParam();
  }
};

INSTANTIATE_TEST_SUITE_P(AllPolicies, ReplayTest, testing::ValuesIn(kPolicies));

// Random traffic with everything that can happen to a job: other sizes, Heun-like samplers, unguided tails, previews,
// several images, tenants, deadlines that pass, cancels while waiting and running, faults of every phase, missing
// encodes, and a device whose memory holds few jobs. Latencies have fractions of nanoseconds.
void RecordEverything(const std::string& path, const std::string& policy) {
  SimulationOptions options{
      .policy = {.name = policy, .max_queue_delay = absl::Milliseconds(300)},
      .limits = {.max_denoise_rows = 7, .max_encode_jobs = 3, .max_decode_jobs = 2, .max_resident_jobs = 9},
      .latency =
          [dice = Dice(5)](const StepPlan& plan) mutable {
            return absl::Milliseconds(20 + 10 * plan.rows) * (0.9 + 0.2 * dice.Uniform());
          },
      .keep_log = false,
      .initial_costs = {{.key = {.phase = Phase::kDenoise, .model = "emoji", .latent_height = 4, .latent_width = 4},
                         .points = {{2, absl::Milliseconds(40)}, {6, absl::Milliseconds(80)}},
                         .row_cap = 6}},
      .tenant_weights = {{"a", 3.0}, {"b", 1.0}}};
  auto recorder = Recorder::Open(path, {.policy = options.policy,
                                        .limits = options.limits,
                                        .tenant_weights = options.tenant_weights,
                                        .initial_costs = options.initial_costs,
                                        .begin = absl::UnixEpoch()});
  ASSERT_TRUE(recorder.ok()) << recorder.status();
  options.observer = recorder->get();
  Simulation simulation(options);
  Dice dice(17);
  absl::Duration when;
  for (int i = 0; i < 250; ++i) {
    when += absl::Milliseconds(900) * dice.Exponential();
    TestJob job{.model = dice.Uniform() < 0.8 ? "emoji" : "digits",
                .width = 8 * (1 + dice.Roll(3)),
                .height = 16,
                .steps = 1 + dice.Roll(20),
                .evaluations_per_step = 1 + dice.Roll(2),
                .guidance_scale = dice.Roll(3) == 0 ? 1.0 : 2.5,
                .seed = i,
                .image_count = 1 + dice.Roll(3),
                .preview_every = dice.Roll(4),
                .tenant = std::string(1, static_cast<char>('a' + dice.Roll(3)))};
    if (dice.Roll(4) == 0) job.unguided_tail = 1;
    // What is only asked for is not recorded, and must leave no trace in the plans.
    TestJob question = job;
    question.height = 8 * (3 + dice.Roll(3));
    simulation.At(when, [&simulation, question] {
      (void)CheckAdmission({}, MakeSpecs(question, nullptr), simulation.scheduler(),
                           absl::UnixEpoch() + simulation.elapsed());
    });
    if (i == 100) {
      simulation.At(when, [&simulation] {
        const BatchKey key{Phase::kDenoise, "emoji", 4, 2};
        simulation.scheduler().SetCurve(key, {{2, absl::Milliseconds(30)}, {6, absl::Milliseconds(75)}});
        simulation.scheduler().LowerRowCap(key, 4);
      });
    }
    if (dice.Roll(3) == 0) job.deadline = absl::UnixEpoch() + when + absl::Seconds(6) * dice.Exponential();
    const bool cancels = dice.Roll(5) == 0;
    const absl::Duration patience = absl::Seconds(2) * dice.Exponential();
    simulation.At(when, [&simulation, job, cancels, patience] {
      const std::vector<JobId> ids = simulation.Submit(job);
      if (cancels)
        simulation.At(simulation.elapsed() + patience, [&simulation, ids] { simulation.Cancel(ids.back()); });
    });
  }
  simulation.device().SetFault([faults = Dice(23)](const Job&, Phase) mutable {
    return faults.Uniform() < 0.01 ? absl::InternalError("scripted") : absl::OkStatus();
  });
  ASSERT_TRUE(simulation.RunUntilIdle());
  for (const auto code : {absl::StatusCode::kOk, absl::StatusCode::kCancelled, absl::StatusCode::kDeadlineExceeded,
                          absl::StatusCode::kInternal}) {
    EXPECT_GT(simulation.stories().ended(code), 0) << absl::StatusCodeToString(code);
  }
}

TEST_P(ReplayTest, EveryPlanOfAWildRunIsMadeAgain) {
  const std::string path = PathOf(absl::StrCat("wild_", GetParam()));
  ASSERT_NO_FATAL_FAILURE(RecordEverything(path, GetParam()));
  const auto report = ReplayFile(path);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->divergence, "");
  EXPECT_TRUE(report->complete);
  EXPECT_GT(report->plans, 1'000);
  EXPECT_GT(report->jobs, 250);
  EXPECT_GT(report->prediction.at(Phase::kDenoise).ticks, 500);
}

// A loop decides while its ticks run, on another thread: what is recorded is in the order in which it happened.
TEST_P(ReplayTest, ALoopWithManyClientsIsRepeated) {
  const std::string path = PathOf(absl::StrCat("loop_", GetParam()));
  {
    SimulatedClock clock;
    NullEngineMetrics metrics;
    FakeDevice device({.limits = {.max_denoise_rows = 5, .max_resident_jobs = 6},
                       .latency = [](const StepPlan& plan) { return absl::Milliseconds(7 + 3 * plan.rows); },
                       .clock = &clock});
    EngineLoopOptions options{.policy = {.name = GetParam(), .max_queue_delay = absl::Milliseconds(30)},
                              .admission = {.max_queued_jobs = 12}};
    auto recorder =
        Recorder::Open(path, {.policy = options.policy, .limits = device.options().limits, .begin = clock.Now()});
    ASSERT_TRUE(recorder.ok());
    options.observer = recorder->get();
    auto loop = EngineLoop::Create(options, MakeFakeExecutor(device), clock, metrics);
    ASSERT_TRUE(loop.ok());
    const auto sink = std::make_shared<RecordingSink>();
    std::vector<std::thread> clients;
    for (int client = 0; client < 4; ++client) {
      clients.emplace_back([&, client] {
        Dice dice(static_cast<uint32_t>(client));
        for (int i = 0; i < 60; ++i) {
          TestJob job{.width = 8 * (1 + dice.Roll(2)),
                      .steps = 1 + dice.Roll(6),
                      .image_count = 1 + dice.Roll(2),
                      .tenant = std::string(1, static_cast<char>('a' + client)),
                      .arrival = clock.Now()};
          if (dice.Roll(3) == 0) job.deadline = clock.Now() + absl::Milliseconds(20 + dice.Roll(400));
          Decision<Admission> decision;
          (*loop)->Submit(MakeSpecs(job, sink), decision.Callback());
          if (decision.Get().ok() && dice.Roll(4) == 0)
            (*loop)->Cancel(decision.Get()->jobs[0], absl::CancelledError(""));
          // Time passes for an idle loop, too: some policies wait for more to come.
          clock.Advance(absl::Milliseconds(dice.Roll(10)));
          (*loop)->Wake();
        }
      });
    }
    for (std::thread& client : clients) client.join();
    (*loop)->Stop();
  }
  const auto report = ReplayFile(path);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->divergence, "");
  EXPECT_TRUE(report->complete);
  EXPECT_GT(report->jobs, 20);
}

TEST_P(ReplayTest, TheErrorOfThePredictionIsShown) {
  const std::string path = PathOf(absl::StrCat("noise_", GetParam()));
  const absl::Duration tick = absl::Milliseconds(40);
  {
    SimulationOptions options{
        .policy = {.name = GetParam()},
        .embeddings_cached = true,
        .latency =
            [&, dice = Dice(3)](const StepPlan&) mutable { return tick * std::max(0.5, 1.0 + 0.1 * dice.Normal()); },
        .keep_log = false,
        .initial_costs = {
            {.key = {Phase::kDenoise, "emoji", 16, 16}, .points = {{2, tick}, {16, tick}}, .row_cap = 16}}};
    auto recorder = Recorder::Open(path, {.policy = options.policy,
                                          .limits = options.limits,
                                          .initial_costs = options.initial_costs,
                                          .begin = absl::UnixEpoch()});
    ASSERT_TRUE(recorder.ok());
    options.observer = recorder->get();
    Simulation simulation(options);
    for (int i = 0; i < 30; ++i) {
      simulation.At(absl::Milliseconds(700 * i), [&simulation] { simulation.Submit({.steps = 20}); });
    }
    ASSERT_TRUE(simulation.RunUntilIdle());
  }
  const auto report = ReplayFile(path);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->divergence, "");
  const PredictionError& error = report->prediction.at(Phase::kDenoise);
  // |N(0, 0.1)|: half lie within 0.0674, nine tenths within 0.1645. The moving average adds a little of its own, and
  // a few hundred ticks scatter by some hundredths.
  EXPECT_NEAR(error.p50, 0.067, 0.02);
  EXPECT_NEAR(error.p90, 0.165, 0.05);
}

TEST(ReplayReportTest, AChangedPlanIsTheFirstDivergence) {
  const std::string path = PathOf("changed");
  ASSERT_NO_FATAL_FAILURE(RecordEverything(path, "fifo"));
  std::string text = Contents(path);
  // Another policy than the one that made the plans; without its end the file is only cut, not damaged.
  text = absl::StrReplaceAll(text.substr(0, text.rfind("\nE ") + 1), {{"policy fifo", "policy serial"}});
  std::ofstream(path, std::ios::binary) << text;
  const auto report = ReplayFile(path);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->exact());
  EXPECT_THAT(report->divergence, HasSubstr("recorded #"));
  EXPECT_THAT(report->divergence, HasSubstr("\nreplayed #"));
  EXPECT_THAT(ToText(*report), HasSubstr("DIVERGED after"));
}

TEST(ReplayReportTest, ARunThatNobodyCanHaveHadIsRefused) {
  constexpr char kHeader[] =
      "stepcast-recording 1\nfingerprint %\npolicy fifo\nmax_queue_delay 0\nlimits 16 8 4 0 9\nbegin 0\n"
      "R 0 model=m scale=8 width=64 height=64 steps=1\nA 0 1 0,2\nK 0 denoise m 8 8\n";
  const struct {
    const char* events;
    const char* message;
  } kCases[] = {
      {"S 0 2 R0 A0 0 0 inf -\nS 0 2 R0 A0 0 0 inf -\n", "job 2 comes after job 2"},
      {"C 0 1\n", "plan 1 completed, but is not in flight"},
  };
  for (const auto& test : kCases) {
    const std::string path = PathOf("impossible");
    std::ofstream(path) << kHeader << test.events;
    const auto report = ReplayFile(path);
    EXPECT_TRUE(absl::IsInvalidArgument(report.status()));
    EXPECT_THAT(std::string(report.status().message()), HasSubstr(test.message));
  }
  const std::string path = PathOf("unknown_policy");
  std::ofstream(path) << absl::StrReplaceAll(kHeader, {{"policy fifo", "policy lifo"}});
  EXPECT_THAT(std::string(ReplayFile(path).status().message()), HasSubstr("lifo"));
}

TEST(ReplayReportTest, JsonHasTheDocumentedKeys) {
  ReplayReport report{.events = 9, .jobs = 2, .plans = 3, .span = absl::Milliseconds(1500), .complete = true};
  report.prediction[Phase::kDenoise] = {.ticks = 3, .p50 = 0.25, .p90 = 0.5};
  const auto json = nlohmann::json::parse(ToJson(report));
  EXPECT_EQ(json, nlohmann::json::parse(R"({"exact": true, "complete": true, "jobs": 2, "plans": 3, "events": 9,
      "seconds": 1.5, "divergence": "", "prediction_error": {"denoise": {"ticks": 3, "p50": 0.25, "p90": 0.5}}})"));
}

}  // namespace
}  // namespace stepcast::simulate

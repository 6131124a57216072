#include "tools/simulate/run_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/costs/cost_cache.h"
#include "scheduler/recording/recorder.h"
#include "tools/simulate/recorded_arrivals.h"
#include "tools/simulate/specs.h"

namespace stepcast::simulate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Deaf final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

TEST(RunCommandTest, WordsBecomeASweep) {
  RunArguments arguments{.policies = {"fifo"},
                         .loads = {0.5, 0.8},
                         .clients = {"interactive,share=0.1,tenant=a,steps=8/20", "batch,share=0.9"},
                         .tenants = {"a=3", "b=x=0.5"},
                         .devices = {1, 2},
                         .rows = 8,
                         .resident = 5};
  const auto sweep = MakeSweep(arguments);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->mix.classes.size(), 2u);
  EXPECT_EQ(sweep->mix.classes[0].priority, Priority::kInteractive);
  EXPECT_EQ(sweep->mix.classes[0].tenant, "a");
  EXPECT_THAT(sweep->mix.classes[0].steps, ElementsAre(8, 20));
  EXPECT_EQ(sweep->run.tenant_weights.at("b=x"), 0.5);
  EXPECT_EQ(sweep->run.device.limits.max_denoise_rows, 8);
  EXPECT_EQ(sweep->run.device.limits.max_resident_jobs, 5);
  ASSERT_EQ(sweep->rates.size(), 2u);
  EXPECT_NEAR(sweep->rates[1] / sweep->rates[0], 1.6, 1e-9);
}

TEST(RunCommandTest, ErrorsNameTheOption) {
  const struct {
    RunArguments arguments;
    const char* message;
  } kCases[] = {
      {{}, "exactly one of --load, --rate, --trace and --recording"},
      {{.loads = {0.5}, .rates = {1.0}}, "exactly one of"},
      {{.costs = "X", .loads = {0.5}}, "known: L, S, C"},
      {{.costs = "no_such_file", .loads = {0.5}}, "--costs: 'no_such_file'"},
      {{.loads = {0.5}, .clients = {"urgent"}}, "--client: 'urgent'"},
      {{.loads = {0.5}, .clients = {"share=0"}}, "--client: 'share=0' is no share in (0, 1e6]"},
      {{.loads = {0.5}, .clients = {"share=2e6"}}, "--client: 'share=2e6' is no share in (0, 1e6]"},
      {{.loads = {0.5}, .clients = {"steps=4/x"}}, "--client: 'steps=4/x'"},
      {{.loads = {0.5}, .tenants = {"a"}}, "--tenant: 'a'"},
      {{.loads = {0.5}, .tenants = {"a=-1"}}, "--tenant: 'a=-1' is no <name>=<weight in (0, 1e6]>"},
      {{.trace = "no_such_trace.csv"}, "no_such_trace.csv"},
      {{.recordings = {"no_such.rec"}}, "no_such.rec"},
  };
  for (const auto& test : kCases) {
    const auto sweep = MakeSweep(test.arguments);
    ASSERT_FALSE(sweep.ok()) << test.message;
    EXPECT_THAT(std::string(sweep.status().message()), HasSubstr(test.message));
  }
}

TEST(RunCommandTest, NumbersHaveRanges) {
  const struct {
    RunArguments arguments;
    const char* message;
  } kCases[] = {
      {{.loads = {0.0}}, "--load: '0' is no number in (0, 100]"},
      {{.loads = {0.5, 101.0}}, "--load: '101' is no number in (0, 100]"},
      {{.rates = {-1.0}}, "--rate: '-1' is no number in (0, 1e+06]"},
      {{.rates = {NAN}}, "--rate: 'nan' is no number in (0, 1e+06]"},
      {{.rates = {1.0}, .arrivals = 0}, "--arrivals: '0' is no whole number in 1..10000000"},
      {{.rates = {1.0}, .warm_up = -1}, "--warm-up: '-1' is no whole number in 0..10000000"},
      {{.trace = "x", .pixels_per_latent = 6}, "--pixels-per-latent: '6' is no power of two in 1..64"},
      {{.trace = "x", .pixels_per_latent = 128}, "--pixels-per-latent: '128' is no power of two in 1..64"},
      {{.trace = "x", .pixels_per_latent = 0}, "--pixels-per-latent: '0' is no power of two in 1..64"},
      {{.rates = {1.0}, .burstiness = 0.0}, "--burstiness: '0' is no number in [0.01, 1000]"},
      {{.rates = {1.0}, .seeds = {1, -2}}, "--seed: '-2' is no whole number in 0..9223372036854775807"},
      {{.rates = {1.0}, .deadline = -3.0}, "--deadline: '-3' is no number in [0, 1e+06]"},
      {{.rates = {1.0}, .devices = {1, 0}}, "--devices: '0' is no whole number in 1..1024"},
      {{.rates = {1.0}, .devices = {1025}}, "--devices: '1025' is no whole number in 1..1024"},
      {{.rates = {1.0}, .rows = 1}, "--rows: '1' is no whole number in 2..4096"},
      {{.rates = {1.0}, .rows = 5000}, "--rows: '5000' is no whole number in 2..4096"},
      {{.rates = {1.0}, .encode_jobs = 0}, "--encode-jobs: '0' is no whole number in 1..4096"},
      {{.rates = {1.0}, .decode_jobs = -4}, "--decode-jobs: '-4' is no whole number in 1..4096"},
      {{.rates = {1.0}, .strict_rows = 1}, "--strict-rows: '1' is no whole number in 2..16 (--rows), nor 0"},
      {{.rates = {1.0}, .rows = 8, .strict_rows = 9}, "--strict-rows: '9' is no whole number in 2..8 (--rows), nor 0"},
      {{.rates = {1.0}, .resident = -1}, "--resident: '-1' is no whole number in 0..1000000"},
      {{.rates = {1.0}, .encode_ms = -0.5}, "--encode-ms: '-0.5' is no number in [0, 1e+06]"},
      {{.rates = {1.0}, .decode_ms = NAN}, "--decode-ms: 'nan' is no number in [0, 1e+06]"},
      {{.rates = {1.0}, .noise = 0.6}, "--noise: '0.6' is no number in [0, 0.5]"},
      {{.rates = {1.0}, .queue_delay_ms = -1.0}, "--queue-delay-ms: '-1' is no number in [0, 1e+09]"},
      {{.rates = {1.0}, .max_queued = 0}, "--max-queued: '0' is no whole number in 1..100000"},
  };
  for (const auto& test : kCases) {
    const auto sweep = MakeSweep(test.arguments);
    ASSERT_FALSE(sweep.ok()) << test.message;
    EXPECT_EQ(std::string(sweep.status().message()), test.message);
  }
  EXPECT_TRUE(MakeSweep({.rates = {1.0}, .rows = 8, .strict_rows = 8}).ok());
}

TEST(RunCommandTest, AWarmUpLeavesSomething) {
  const auto all = MakeSweep({.loads = {0.5}, .arrivals = 300});
  EXPECT_EQ(all.status().message(), "--warm-up: the first 300 of --arrivals 300 do not count, which leaves none");
  EXPECT_TRUE(MakeSweep({.loads = {0.5}, .arrivals = 301}).ok());
  // A third of 301 is 100, three times.
  const auto rounded = MakeSweep({.loads = {0.5}, .clients = {"batch", "standard", "tenant=a"}, .arrivals = 301});
  EXPECT_THAT(std::string(rounded.status().message()), HasSubstr("--warm-up: the first 300 of"));
  const std::string trace = testing::TempDir() + "/one.csv";
  std::ofstream(trace) << "arrival_s,steps\n0,4\n";
  EXPECT_TRUE(MakeSweep({.trace = trace, .arrivals = 1}).ok()) << "of a trace all count";
}

TEST(RunCommandTest, AServersCostCacheIsADevice) {
  const std::string path = testing::TempDir() + "/costs.txt";
  const std::vector<CostEntry> costs = {{.key = {Phase::kDenoise, "emoji", 16, 16},
                                         .points = {{2, absl::Milliseconds(20)}, {8, absl::Milliseconds(50)}},
                                         .row_cap = 8}};
  ASSERT_TRUE(WriteCostCache(path, "sha-of-emoji cpu fp32 2", costs).ok());
  const auto device = FindDevice(path);
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ(device->name, "sha-of-emoji cpu fp32 2");
  EXPECT_EQ(device->costs, costs);
  ASSERT_TRUE(WriteCostCache(path, "x", {{.key = {Phase::kEncode, "emoji"}, .points = {{1, absl::Seconds(1)}}}}).ok());
  EXPECT_THAT(std::string(FindDevice(path).status().message()), HasSubstr("knows no denoise tick"));
  ASSERT_TRUE(WriteCostCache(path, "x", costs).ok());
  const auto ends = MakeSweep({.costs = path, .rates = {1.0}, .encode_ms = 3.0});
  EXPECT_THAT(std::string(ends.status().message()), HasSubstr("--encode-ms"));
  std::ofstream(path) << "something else\n";
  EXPECT_THAT(std::string(FindDevice(path).status().message()), HasSubstr("no cost cache"));
}

// The encodes come first in a server's cache, and its model and size are its own.
TEST(RunCommandTest, RandomRequestsAskForTheModelOfTheCostCache) {
  const std::string path = testing::TempDir() + "/native.txt";
  const std::vector<CostEntry> costs = {
      {.key = {Phase::kEncode, "emoji"}, .points = {{1, absl::Milliseconds(1)}, {8, absl::Milliseconds(4)}}},
      {.key = {Phase::kDenoise, "emoji", 16, 24},
       .points = {{2, absl::Milliseconds(20)}, {16, absl::Milliseconds(50)}}}};
  ASSERT_TRUE(WriteCostCache(path, "x", costs).ok());
  const auto sweep = MakeSweep({.costs = path, .loads = {0.5}});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_NEAR(sweep->rates[0], 0.5 * 8 / (22.4 * 0.050), 1e-9);
  const std::vector<Arrival> arrivals = MakeArrivals(sweep->mix, 1.0, /*seed=*/1);
  EXPECT_EQ(arrivals[0].model, "emoji");
  EXPECT_EQ(arrivals[0].latent_height, 16);
  EXPECT_EQ(arrivals[0].latent_width, 24);
  const std::string trace = testing::TempDir() + "/native.csv";
  std::ofstream(trace) << "arrival_s,steps,width\n0,4,128\n";
  const auto traced = MakeSweep({.costs = path, .trace = trace});
  ASSERT_TRUE(traced.ok()) << traced.status();
  EXPECT_EQ(traced->trace[0].model, "emoji");
  EXPECT_EQ(traced->trace[0].latent_height, 16) << "of the cache";
  EXPECT_EQ(traced->trace[0].latent_width, 16) << "of the row";
  const auto small = MakeSweep({.costs = path, .trace = trace, .pixels_per_latent = 4});
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_EQ(small->trace[0].latent_width, 32);
}

TEST(RecordedArrivalsTest, ComeBackInOrderWithTheirDeadlinesAndCancels) {
  const std::string path = testing::TempDir() + "/arrivals.rec";
  const absl::Time begin = absl::FromUnixSeconds(1'800'000'000);
  Arrival slow{.steps = 30, .latent_height = 16, .tenant = "a", .evaluations_per_step = 2};
  slow.model = "emoji";
  Arrival quick{.steps = 4, .guided = false, .cold = true, .previews_every = 2, .priority = Priority::kInteractive};
  {
    auto recorder = Recorder::Open(path, {.begin = begin});
    ASSERT_TRUE(recorder.ok());
    SpecMaker maker;
    const auto submit = [&](int64_t id, const Arrival& arrival, absl::Duration at, absl::Duration handed_over) {
      JobSpec spec = maker.Make(arrival, std::make_shared<Deaf>());
      spec.arrival = begin + at;
      if (id == 1) spec.deadline = spec.arrival + absl::Seconds(9);
      Job job(JobId{id}, std::move(spec));
      job.set_needs_encode(arrival.cold);
      (*recorder)->OnSubmit(job, begin + handed_over);
    };
    // Handed over together after a tick; the second had arrived before the first.
    submit(1, slow, absl::Seconds(3), absl::Seconds(4));
    submit(2, quick, absl::Seconds(2), absl::Seconds(4));
    (*recorder)->OnLeave(JobId{2}, absl::CancelledError(""), begin + absl::Seconds(7));
    (*recorder)->OnLeave(JobId{1}, absl::UnavailableError("drain"), begin + absl::Seconds(8));
  }
  const auto arrivals = ReadArrivals({path});
  ASSERT_TRUE(arrivals.ok()) << arrivals.status();
  ASSERT_EQ(arrivals->size(), 2u);
  const Arrival& first = (*arrivals)[0];
  EXPECT_EQ(first.at, absl::Seconds(2));
  EXPECT_EQ(first.steps, 4);
  EXPECT_FALSE(first.guided);
  EXPECT_TRUE(first.cold);
  EXPECT_EQ(first.previews_every, 2);
  EXPECT_EQ(first.priority, Priority::kInteractive);
  EXPECT_EQ(first.patience, absl::Seconds(5));
  EXPECT_EQ(first.due, absl::InfiniteDuration());
  const Arrival& second = (*arrivals)[1];
  EXPECT_EQ(second.model, "emoji");
  EXPECT_EQ(second.latent_height, 16);
  EXPECT_EQ(second.evaluations_per_step, 2);
  EXPECT_EQ(second.due, absl::Seconds(9));
  EXPECT_EQ(second.patience, absl::InfiniteDuration()) << "the server was stopped; the client had not given up";
}

// A server with two devices writes two files, and one may have begun earlier. The third device got nothing.
TEST(RecordedArrivalsTest, SeveralDevicesAreOneStream) {
  const absl::Time begin = absl::FromUnixSeconds(1'800'000'000);
  std::vector<std::string> paths;
  SpecMaker maker;
  const auto record = [&](absl::Time file_begin, const std::vector<std::pair<absl::Duration, int>>& steps) {
    paths.push_back(absl::StrCat(testing::TempDir(), "/run.rec.", paths.size()));
    auto recorder = Recorder::Open(paths.back(), {.begin = file_begin});
    ASSERT_TRUE(recorder.ok());
    int64_t id = 0;
    for (const auto& [at, count] : steps) {
      JobSpec spec = maker.Make({.steps = count}, std::make_shared<Deaf>());
      spec.arrival = begin + at;
      const Job job(JobId{++id}, std::move(spec));
      (*recorder)->OnSubmit(job, begin + at + absl::Milliseconds(1));
      if (count == 7) (*recorder)->OnLeave(job.id(), absl::CancelledError(""), begin + absl::Seconds(9));
    }
  };
  record(begin + absl::Seconds(1), {{absl::Seconds(2), 1}, {absl::Seconds(5), 7}, {absl::Seconds(6), 3}});
  record(begin, {{absl::Seconds(3), 4}, {absl::Seconds(5), 5}});
  record(begin + absl::Seconds(1), {});
  const auto arrivals = ReadArrivals(paths);
  ASSERT_TRUE(arrivals.ok()) << arrivals.status();
  std::vector<std::pair<absl::Duration, int>> came;
  for (const Arrival& arrival : *arrivals) came.emplace_back(arrival.at, arrival.steps);
  EXPECT_THAT(
      came, ElementsAre(std::pair(absl::Seconds(2), 1), std::pair(absl::Seconds(3), 4), std::pair(absl::Seconds(5), 7),
                        std::pair(absl::Seconds(5), 5), std::pair(absl::Seconds(6), 3)));
  EXPECT_EQ((*arrivals)[2].patience, absl::Seconds(4));
  EXPECT_EQ((*arrivals)[3].patience, absl::InfiniteDuration()) << "the job of the same id on the other device left";
  const auto sweep = MakeSweep({.recordings = paths});
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->trace.size(), 5u);
  paths.push_back("no_such.rec.3");
  EXPECT_TRUE(absl::IsNotFound(ReadArrivals(paths).status()));
}

// The first device refused three pictures; the second took one of them, and one that was taken back because its request
// did not fit; the third went nowhere.
TEST(RecordedArrivalsTest, WhoWasRefusedCameAllTheSame) {
  const absl::Time begin = absl::FromUnixSeconds(1'800'000'000);
  const std::vector<std::string> paths = {testing::TempDir() + "/refused.rec", testing::TempDir() + "/refused.rec.1"};
  SpecMaker maker;
  const auto spec = [&](int steps) {
    JobSpec made = maker.Make({.steps = steps}, std::make_shared<Deaf>());
    made.arrival = begin + absl::Seconds(steps);
    return made;
  };
  const absl::Status full = absl::ResourceExhaustedError("full");
  {
    const auto first = Recorder::Open(paths[0], {.begin = begin});
    ASSERT_TRUE(first.ok());
    (*first)->OnRefuse({spec(1), spec(2)}, full, begin + absl::Seconds(3));
    (*first)->OnRefuse({spec(3)}, full, begin + absl::Seconds(3));
    const auto second = Recorder::Open(paths[1], {.begin = begin});
    ASSERT_TRUE(second.ok());
    const Job taken(JobId{1}, spec(1));
    const Job taken_back(JobId{2}, spec(2));
    (*second)->OnSubmit(taken, begin + absl::Seconds(4));
    (*second)->OnSubmit(taken_back, begin + absl::Seconds(4));
    (*second)->OnLeave(JobId{2}, full, begin + absl::Seconds(4));
    (*second)->OnRefuse({spec(3)}, full, begin + absl::Seconds(5));
  }
  const auto arrivals = ReadArrivals(paths);
  ASSERT_TRUE(arrivals.ok()) << arrivals.status();
  std::vector<int> came;
  for (const Arrival& arrival : *arrivals) came.push_back(arrival.steps);
  EXPECT_THAT(came, ElementsAre(1, 2, 3)) << "each once";
}

TEST(RecordedArrivalsTest, AnEmptyRecordingHasNone) {
  const std::string path = testing::TempDir() + "/empty.rec";
  ASSERT_TRUE(Recorder::Open(path, {}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(ReadArrivals({path}).status()));
}

}  // namespace
}  // namespace stepcast::simulate

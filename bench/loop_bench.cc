// What a device's loop adds to its scheduler: a tick's way through its threads and its lock, and how soon requests are
// answered while a tick runs.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "scheduler/loop/engine_loop.h"
#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

// Ticks of each of `lengths` in turn, in which `computing` threads compute. Without lengths a tick takes no time.
struct DeviceScript {
  std::vector<absl::Duration> lengths = {};
  int computing = 0;
};

class SyntheticExecutor final : public StepExecutor {
 public:
  explicit SyntheticExecutor(DeviceScript script) : script_(std::move(script)) {}

  absl::Status Start(Job& job) override {
    job.set_needs_encode(false);
    return absl::OkStatus();
  }

  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override {
    if (!script_.lengths.empty()) Pass(script_.lengths[ticks_++ % script_.lengths.size()]);
    std::vector<StepResult> results(jobs.size());
    if (plan.phase() == Phase::kDecode) {
      for (StepResult& result : results) result.image = image_;
    }
    return results;
  }

  ExecutorLimits Limits() const override { return {.max_denoise_rows = 16}; }

 private:
  void Pass(absl::Duration time) const {
    const absl::Time end = RealClock().Now() + time;
    std::vector<std::thread> computing;
    for (int i = 0; i < script_.computing; ++i) {
      computing.emplace_back([end] {
        while (RealClock().Now() < end) {
        }
      });
    }
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(time));
    for (std::thread& thread : computing) thread.join();
  }

  const DeviceScript script_;
  const SharedImage image_ = std::make_shared<Image>();
  size_t ticks_ = 0;
};

class CountingSink final : public EventSink {
 public:
  void OnEvent(JobEvent event) override {
    if (std::holds_alternative<JobFinished>(event.what) && --left_ == 0) done_.set_value();
  }
  std::future<void> After(int jobs) {
    left_ = jobs;
    done_ = {};
    return done_.get_future();
  }

 private:
  std::atomic<int> left_{-1};
  std::promise<void> done_;
};

std::unique_ptr<EngineLoop> MakeLoop(DeviceScript script, int max_queued_jobs, EngineMetrics& metrics) {
  auto loop = EngineLoop::Create({.policy = {.name = "slo"}, .admission = {.max_queued_jobs = max_queued_jobs}},
                                 std::make_unique<SyntheticExecutor>(std::move(script)), RealClock(), metrics);
  return *std::move(loop);
}

// One tick whose forward takes no time: what scheduler, loop and events cost together, at so many jobs of 2,000 steps.
void Turn(benchmark::State& state) {
  NullEngineMetrics metrics;
  const auto sink = std::make_shared<CountingSink>();
  const auto loop = MakeLoop({}, 1000, metrics);
  const int jobs = static_cast<int>(state.range(0));
  const std::vector<JobSpec> specs = MakeSpecs({.steps = 2'000, .image_count = jobs}, sink);
  int64_t ticks = 0;
  for (auto step : state) {
    const int64_t before = loop->status().ticks;
    std::future<void> done = sink->After(jobs);
    loop->Submit(specs, [](const auto&) {});
    done.wait();
    ticks += loop->status().ticks - before;
  }
  state.counters["time_per_tick"] =
      benchmark::Counter(static_cast<double>(ticks), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(Turn)->Arg(1)->Arg(8)->Arg(64)->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);

// What one client asks, in turn: to paint (and gives up once let in), for more than there is room, for what cannot be
// done in time, and what it would be told.
class Client {
 public:
  explicit Client(EngineLoop& loop) : loop_(loop) {}

  // How long the answer took.
  absl::Duration Ask(int kind) {
    TestJob job{.steps = 50};
    if (kind == 1) job.image_count = 16;
    if (kind == 2) job.deadline = RealClock().Now() + absl::Milliseconds(100);
    std::vector<JobSpec> specs = MakeSpecs(job, sink_);
    std::promise<void> answered;
    const absl::Time start = RealClock().Now();
    absl::Duration took;
    if (kind == 3) {
      loop_.Estimate(std::move(specs), [&](const auto&) {
        took = RealClock().Now() - start;
        answered.set_value();
      });
    } else {
      loop_.Submit(std::move(specs), [&](absl::StatusOr<Admission> admission) {
        took = RealClock().Now() - start;
        if (admission.ok()) admitted_ = admission->jobs;
        ++(admission.ok() ? accepted : refused);
        answered.set_value();
      });
    }
    answered.get_future().wait();
    for (const JobId id : std::exchange(admitted_, {})) loop_.Cancel(id, absl::CancelledError("enough"));
    return took;
  }

  int accepted = 0;
  int refused = 0;

 private:
  EngineLoop& loop_;
  const std::shared_ptr<CountingSink> sink_ = std::make_shared<CountingSink>();
  std::vector<JobId> admitted_;
};

// Answers on a device whose ticks take 1 to 3 s, with so many jobs queued, each with a deadline, while so many threads
// compute in each tick.
void Answer(benchmark::State& state) {
  NullEngineMetrics metrics;
  const int queued = static_cast<int>(state.range(0));
  DeviceScript script{.lengths = {absl::Seconds(1), absl::Seconds(3), absl::Seconds(2)},
                      .computing = static_cast<int>(state.range(1))};
  const auto loop = MakeLoop(std::move(script), queued + 8, metrics);
  const auto sink = std::make_shared<CountingSink>();
  const TestJob crowd{.steps = 50, .image_count = queued, .deadline = RealClock().Now() + absl::Hours(1000)};
  loop->Submit(MakeSpecs(crowd, sink), [](const auto&) {});
  Client client(*loop);
  std::vector<double> took;
  for (auto step : state) {
    // At any moment of a tick.
    std::this_thread::sleep_for(std::chrono::milliseconds(took.size() * 7 % 31));
    const absl::Duration answer = client.Ask(static_cast<int>(took.size()) % 4);
    took.push_back(absl::ToDoubleMilliseconds(answer));
    state.SetIterationTime(absl::ToDoubleSeconds(answer));
  }
  std::sort(took.begin(), took.end());
  state.counters["p50_ms"] = took[took.size() / 2];
  state.counters["p99_ms"] = took[took.size() * 99 / 100];
  state.counters["max_ms"] = took.back();
  state.counters["accepted"] = client.accepted;
  state.counters["refused"] = client.refused;
  state.counters["ticks"] = static_cast<double>(loop->status().ticks);
}
BENCHMARK(Answer)
    ->ArgNames({"queued", "computing"})
    ->Args({10, 0})
    ->Args({1'000, 0})
    ->Args({10, 2})
    ->Args({1'000, 2})
    ->Iterations(1'000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stepcast

BENCHMARK_MAIN();

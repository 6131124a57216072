// What a tick costs in the scheduler alone, at many live jobs: Next, Complete and all events, no engine.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "scheduler/decide/admission.h"
#include "scheduler/decide/step_scheduler.h"
#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

class IgnoringSink final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

// Jobs of three sizes with 50 guided evaluations each, past their encode; one comes for each that ends. With
// `deadlines` each has one, in no order and spread so that nearly all can be met: the most work for a policy that looks
// at them.
class Fixture {
 public:
  Fixture(const std::string& policy, int live, bool deadlines = false)
      : live_(live),
        deadlines_(deadlines),
        scheduler_(*MakePolicy({.name = policy}),
                   {.limits = {.max_denoise_rows = 16}, .initial_costs = Costs(), .checks = InvariantChecks::kOff},
                   metrics_) {
    for (const int side : {32, 64, 96}) specs_.push_back(MakeSpecs({.width = side, .steps = 50}, sink_).front());
    Refill();
  }

  void Submit() {
    std::vector<std::unique_ptr<Job>> jobs;
    ++last_id_;
    JobSpec spec = specs_[static_cast<size_t>(last_id_) % specs_.size()];
    spec.arrival = now_;
    // A job takes 1.1 s of the device.
    const double spread = 1.2 * live_ * static_cast<double>(last_id_ * 7919 % 1000) / 1000;
    if (deadlines_) spec.deadline = now_ + absl::Seconds(100 + spread);
    jobs.push_back(std::make_unique<Job>(JobId{last_id_}, std::move(spec)));
    jobs.back()->set_needs_encode(false);
    scheduler_.Submit(std::move(jobs), now_);
  }

  void Refill() {
    while (scheduler_.live() < live_) Submit();
  }

  StepPlan Next() { return scheduler_.Next(now_); }

  void Complete(const StepPlan& plan) {
    std::vector<StepResult> results(plan.jobs.size());
    if (plan.phase() == Phase::kDecode) {
      for (StepResult& result : results) result.image = image_;
    }
    now_ += absl::Milliseconds(50);
    scheduler_.Complete(plan, std::move(results), now_);
    Refill();
  }

  StepScheduler& scheduler() { return scheduler_; }
  absl::Time now() const { return now_; }

 private:
  // Of the three sizes, 40 ms a guided job and 20 ms for each more: what `slo` looks at.
  static std::vector<CostEntry> Costs() {
    std::vector<CostEntry> costs;
    for (const int side : {8, 16, 24}) {
      CostEntry& entry = costs.emplace_back();
      entry.key = {Phase::kDenoise, "emoji", side, side};
      entry.points = {{2, absl::Milliseconds(40)}, {16, absl::Milliseconds(180)}};
    }
    return costs;
  }

  const int live_;
  const bool deadlines_;
  NullEngineMetrics metrics_;
  StepScheduler scheduler_;
  const std::shared_ptr<IgnoringSink> sink_ = std::make_shared<IgnoringSink>();
  const SharedImage image_ = std::make_shared<Image>();
  std::vector<JobSpec> specs_;
  absl::Time now_ = absl::UnixEpoch();
  int64_t last_id_ = 0;
};

// One whole tick, with its share of arrivals and ends.
void Tick(benchmark::State& state, const std::string& policy, bool deadlines) {
  Fixture fixture(policy, static_cast<int>(state.range(0)), deadlines);
  int64_t rows = 0;
  for (auto step : state) {
    const StepPlan plan = fixture.Next();
    rows += plan.rows;
    fixture.Complete(plan);
  }
  state.counters["rows"] = benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kAvgIterations);
}
BENCHMARK_CAPTURE(Tick, serial, "serial", false)->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, fifo, "fifo", false)->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, slo, "slo", false)->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, slo_deadlines, "slo", true)->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, request_level, "request_level", false)->Arg(100)->Arg(1'000)->Arg(20'000);

// The decision alone: what a policy does with the snapshot.
void Plan(benchmark::State& state, const std::string& policy, bool deadlines) {
  Fixture fixture(policy, static_cast<int>(state.range(0)), deadlines);
  for (int tick = 0; tick < 50; ++tick) fixture.Complete(fixture.Next());
  const auto made = *MakePolicy({.name = policy});
  for (auto step : state) {
    benchmark::DoNotOptimize(made->Next(fixture.scheduler().Snapshot(), fixture.scheduler().costs(), fixture.now()));
  }
}
BENCHMARK_CAPTURE(Plan, fifo, "fifo", false)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Plan, slo, "slo", false)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Plan, slo_deadlines, "slo", true)->Arg(1'000)->Arg(20'000);

// One decision about a request with a deadline that all of the queue stands before, and its 99th percentile.
void Admit(benchmark::State& state, bool deadlines) {
  Fixture fixture("slo", static_cast<int>(state.range(0)), deadlines);
  std::vector<JobSpec> request = MakeSpecs({.steps = 50}, std::make_shared<IgnoringSink>());
  request.front().deadline = absl::UnixEpoch() + absl::Hours(20);
  const AdmissionLimits limits{.max_queued_jobs = 100'000};
  std::vector<double> took;
  for (auto step : state) {
    const absl::Time start = RealClock().Now();
    benchmark::DoNotOptimize(CheckAdmission(limits, request, fixture.scheduler(), absl::UnixEpoch()));
    took.push_back(absl::ToDoubleMilliseconds(RealClock().Now() - start));
  }
  std::sort(took.begin(), took.end());
  state.counters["p99_ms"] = took[took.size() * 99 / 100];
}
BENCHMARK_CAPTURE(Admit, no_deadlines, false)->Arg(1'000)->Arg(20'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Admit, deadlines, true)->Arg(1'000)->Arg(20'000)->Unit(benchmark::kMillisecond);

// Submit and cancel of the oldest of many jobs.
void SubmitAndCancel(benchmark::State& state) {
  Fixture fixture("fifo", static_cast<int>(state.range(0)));
  for (auto step : state) {
    fixture.Submit();
    const JobId oldest = fixture.scheduler().Snapshot().jobs.front()->job->id();
    fixture.scheduler().Cancel(oldest, absl::CancelledError(""), absl::UnixEpoch());
  }
}
BENCHMARK(SubmitAndCancel)->Arg(1'000)->Arg(20'000);

}  // namespace
}  // namespace stepcast

BENCHMARK_MAIN();

// What a tick costs in the scheduler alone, at many live jobs: Next, Complete and all events, no engine.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "scheduler/admission.h"
#include "scheduler/step_scheduler.h"
#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

class IgnoringSink final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

// Jobs of three sizes with 50 guided evaluations each, past their encode; one comes for each that ends.
class Fixture {
 public:
  Fixture(const std::string& policy, int live)
      : live_(live),
        scheduler_(*MakePolicy({.name = policy}),
                   {.limits = {.max_denoise_rows = 16}, .initial_costs = Costs(), .checks = InvariantChecks::kOff},
                   metrics_) {
    for (const int side : {32, 64, 96}) specs_.push_back(MakeSpecs({.width = side, .steps = 50}, sink_).front());
    Refill();
  }

  void Submit() {
    std::vector<std::unique_ptr<Job>> jobs;
    ++last_id_;
    jobs.push_back(std::make_unique<Job>(JobId{last_id_}, specs_[static_cast<size_t>(last_id_) % specs_.size()]));
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

 private:
  // Of the three sizes, 40 ms a guided job and 20 ms for each more: what `slo` looks at.
  static std::vector<CostEntry> Costs() {
    std::vector<CostEntry> costs;
    for (const int side : {8, 16, 24}) {
      costs.push_back({.key = {Phase::kDenoise, "emoji", side, side},
                       .points = {{2, absl::Milliseconds(40)}, {16, absl::Milliseconds(180)}},
                       .row_cap = 0});
    }
    return costs;
  }

  const int live_;
  NullEngineMetrics metrics_;
  StepScheduler scheduler_;
  const std::shared_ptr<IgnoringSink> sink_ = std::make_shared<IgnoringSink>();
  const SharedImage image_ = std::make_shared<Image>();
  std::vector<JobSpec> specs_;
  absl::Time now_ = absl::UnixEpoch();
  int64_t last_id_ = 0;
};

// One whole tick, with its share of arrivals and ends.
void Tick(benchmark::State& state, const std::string& policy) {
  Fixture fixture(policy, static_cast<int>(state.range(0)));
  int64_t rows = 0;
  for (auto step : state) {
    const StepPlan plan = fixture.Next();
    rows += plan.rows;
    fixture.Complete(plan);
  }
  state.counters["rows"] = benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kAvgIterations);
}
BENCHMARK_CAPTURE(Tick, serial, "serial")->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, fifo, "fifo")->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, slo, "slo")->Arg(100)->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Tick, request_level, "request_level")->Arg(100)->Arg(1'000)->Arg(20'000);

// The plan alone.
void Plan(benchmark::State& state, const std::string& policy) {
  Fixture fixture(policy, static_cast<int>(state.range(0)));
  for (auto step : state) {
    const StepPlan plan = fixture.Next();
    state.PauseTiming();
    fixture.Complete(plan);
    state.ResumeTiming();
  }
}
BENCHMARK_CAPTURE(Plan, fifo, "fifo")->Arg(1'000)->Arg(20'000);
BENCHMARK_CAPTURE(Plan, slo, "slo")->Arg(1'000)->Arg(20'000);

// One decision about a request with a deadline that all of the queue stands before.
void Admit(benchmark::State& state) {
  Fixture fixture("slo", static_cast<int>(state.range(0)));
  std::vector<JobSpec> request = MakeSpecs({.steps = 50}, std::make_shared<IgnoringSink>());
  request.front().deadline = absl::UnixEpoch() + absl::Hours(20);
  const AdmissionLimits limits{.max_queued_jobs = 100'000};
  for (auto step : state) {
    benchmark::DoNotOptimize(CheckAdmission(limits, request, fixture.scheduler(), absl::UnixEpoch()));
  }
}
BENCHMARK(Admit)->Arg(1'000)->Arg(20'000)->Unit(benchmark::kMillisecond);

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

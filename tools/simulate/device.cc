#include "tools/simulate/device.h"

#include <algorithm>
#include <utility>

namespace stepcast::simulate {
namespace {

StepSchedulerOptions SchedulerOptions(const RunOptions& options, int index) {
  return {.limits = options.device.limits,
          // Nobody listens, so nobody need be told that a job still waits.
          .heartbeat = absl::Hours(24 * 365 * 100),
          .initial_costs = options.knows_costs ? options.device.costs : std::vector<CostEntry>{},
          .tenant_weights = options.tenant_weights,
          .observer = index == 0 ? options.observer : nullptr,
          .checks = options.checks};
}

// Who was not let in by admission was promised nothing.
PolicyOptions PolicyOf(const RunOptions& options) {
  PolicyOptions policy = options.policy;
  policy.promises = options.admission;
  return policy;
}

}  // namespace

SimulatedDevice::SimulatedDevice(const RunOptions& options, int index, const CostModel& truth)
    : options_(options),
      truth_(truth),
      index_(index),
      noise_(options.noise_seed + static_cast<uint64_t>(index) * 1'000'003),
      scheduler_(*MakePolicy(PolicyOf(options)), SchedulerOptions(options, index), metrics_) {}

EngineStatus SimulatedDevice::Status() const {
  return {.waiting = scheduler_.waiting(),
          .running = scheduler_.live() - scheduler_.waiting(),
          .ready = true,
          .backlog = scheduler_.lanes().backlog()};
}

void SimulatedDevice::ReadMail(absl::Time now, absl::FunctionRef<bool(SimulatedDevice&, const Jobs&)> admit) {
  for (Letter& letter : std::exchange(mail_, {})) {
    if (letter.jobs.empty()) {
      scheduler_.Cancel(letter.leaving, absl::CancelledError("out of patience"), now);
    } else if (admit(*this, letter.jobs)) {
      scheduler_.Submit(std::move(letter.jobs), now);
    }
  }
}

void SimulatedDevice::Complete(absl::Time now) {
  const StepPlan plan = std::move(flight_->plan);
  flight_.reset();
  std::vector<StepResult> results(plan.jobs.size());
  if (plan.phase() == Phase::kDecode) {
    for (StepResult& result : results) result.image = image_;
  }
  scheduler_.Complete(plan, std::move(results), now);
}

std::optional<Tick> SimulatedDevice::Begin(absl::Time now) {
  StepPlan plan = scheduler_.Next(now);
  if (plan.empty()) {
    wake_ = scheduler_.live() > 0 ? scheduler_.NextEvent() : absl::InfiniteFuture();
    if (plan.wake_at.has_value()) wake_ = std::min(wake_, *plan.wake_at);
    return std::nullopt;
  }
  const int strict = plan.phase() == Phase::kDenoise ? options_.device.limits.strict_rows : 0;
  double seconds = truth_.Seconds(plan.key, std::max(plan.rows, strict));
  if (!plan.previews.empty()) {
    BatchKey preview = plan.key;
    preview.phase = Phase::kPreview;
    seconds += truth_.Seconds(preview, static_cast<int>(plan.previews.size()));
  }
  // At least a fifth: a tick may be slow without bound, but not that fast.
  if (options_.noise > 0.0) seconds *= std::max(0.2, 1.0 + options_.noise * noise_.Normal());
  const Tick tick{.start = absl::ToDoubleSeconds(now - absl::UnixEpoch()),
                  .seconds = seconds,
                  .predicted = absl::ToDoubleSeconds(plan.predicted),
                  .phase = plan.phase(),
                  .rows = plan.rows,
                  .jobs = static_cast<int>(plan.jobs.size()),
                  .padding = strict > 0 ? strict - plan.rows : 0,
                  .device = index_};
  flight_ = Flight{.plan = std::move(plan), .end = now + absl::Seconds(seconds)};
  return tick;
}

void SimulatedDevice::Stop(absl::Time now) { scheduler_.CancelAll(absl::UnknownError("the run is over"), now); }

}  // namespace stepcast::simulate

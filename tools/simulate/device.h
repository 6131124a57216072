#pragma once
// One simulated device: a scheduler, the tick it runs, the mail that waits for it.

#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "core/metrics.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/loop/engine_loop.h"
#include "tools/simulate/driver.h"
#include "tools/simulate/outcome.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// Plays EngineLoop's part, with time as an argument: a device reads its mail at once, also during a tick; what comes as
// the tick ends, before the scheduler's Complete.
//
// Thread-safety: none.
class SimulatedDevice {
 public:
  using Jobs = std::vector<std::unique_ptr<Job>>;

  // `options` and `truth` must outlive the device. `index` 0 has the observer.
  SimulatedDevice(const RunOptions& options, int index, const CostModel& truth);

  bool busy() const { return flight_.has_value(); }
  // The end of its tick, or when its scheduler wants to look again; infinite future: when mail comes.
  absl::Time due() const { return flight_.has_value() ? flight_->end : wake_; }
  StepScheduler& scheduler() { return scheduler_; }
  const StepScheduler& scheduler() const { return scheduler_; }

  // What an engine loop would say of itself to a dispatcher: the mail does not count.
  EngineStatus Status() const;

  // Mail: jobs of one request, all started, or the end of somebody's patience.
  void Post(Jobs jobs) { mail_.push_back({.jobs = std::move(jobs)}); }
  void Cancel(JobId job) { mail_.push_back({.jobs = {}, .leaving = job}); }

  bool has_mail() const { return !mail_.empty(); }

  // Reads what was posted, in order; `admit` decides about requests. What is posted meanwhile stays for the next time.
  void ReadMail(absl::Time now, absl::FunctionRef<bool(SimulatedDevice&, const Jobs&)> admit);

  // Ends the tick. REQUIRES: busy.
  void Complete(absl::Time now);

  // Begins the next tick, if the policy wants one, and returns it. REQUIRES: not busy.
  std::optional<Tick> Begin(absl::Time now);

  // Ends every job that is left. REQUIRES: not busy.
  void Stop(absl::Time now);

 private:
  struct Letter {
    Jobs jobs = {};
    JobId leaving = {};
  };
  struct Flight {
    StepPlan plan;
    absl::Time end;
  };

  const RunOptions& options_;
  const CostModel& truth_;
  const int index_;
  Random noise_;
  NullEngineMetrics metrics_;
  const SharedImage image_ = std::make_shared<Image>();
  StepScheduler scheduler_;
  std::vector<Letter> mail_;
  std::optional<Flight> flight_;
  absl::Time wake_ = absl::InfiniteFuture();
};

}  // namespace stepcast::simulate

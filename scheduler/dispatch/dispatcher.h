#pragma once
// Several devices behind one door: which loop gets which job, and what happens when a device is lost.

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "scheduler/loop/engine_loop.h"

namespace stepcast {

// A device to dispatch to.
struct DispatchDevice {
  std::string name;  // "cpu", "cuda:0"; unique
  std::unique_ptr<StepExecutor> executor;
  EngineMetrics* metrics = nullptr;       // outlives the dispatcher
  SchedulerObserver* observer = nullptr;  // outlives the dispatcher; null: none
  std::vector<std::string> foreign = {};  // models that other devices paint; not profiled here
};

// One device at this moment.
struct DeviceStatus {
  std::string name;
  ExecutorLimits limits;
  EngineStatus engine;
};

// One device's part of a schedule.
struct DeviceView {
  DeviceStatus device = {};
  ScheduleView schedule = {};  // empty when the device is lost
};

// EngineLoop's surface over one loop per device. A request's images go, each, to the loop that will be done with it
// first, of those that paint its model; where two are about even, to one that runs its key or has its prompt encoded
// (scheduler/dispatch/placement.h).
// A loop that refuses for want of room passes the request on to the next. Limits of admission count per device.
//
// A lost device ends its own jobs with UNAVAILABLE/DEVICE_LOST and gets no more; the others go on.
//
// Thread-safety: as EngineLoop. With one device a call is one more hop; with several, submits take one lock.
class Dispatcher {
 public:
  // Loop i of n gets `options` with its own ids, names, metrics and observer; its cost cache is `cache_file`, with ".i"
  // appended for i > 0. `clock` must outlive the dispatcher. REQUIRES: metrics of every device are set.
  // Errors: INVALID_ARGUMENT: no device, or as EngineLoop::Create.
  static absl::StatusOr<std::unique_ptr<Dispatcher>> Create(const EngineLoopOptions& options,
                                                            std::vector<DispatchDevice> devices, const Clock& clock);

  // Stops.
  ~Dispatcher();

  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // As EngineLoop::Submit. All images of the request are admitted, by however many loops, or none. Errors besides:
  // UNAVAILABLE/DEVICE_LOST when no device is left; of several refusals the one that asks to come back soonest.
  void Submit(std::vector<JobSpec> specs, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision);

  // What Submit would answer, by the same rules; nothing is admitted.
  void Estimate(std::vector<JobSpec> specs, absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict);

  // Calls `on_views` once with every device, in order.
  void Snapshot(absl::AnyInvocable<void(std::vector<DeviceView>) &&> on_views);

  // EngineLoop's, for the loops that paint `model`: ticks of a default request.
  void Learn(const ModelInfo& model);

  // As those of EngineLoop, for all loops. Stop waits for each running tick.
  void Cancel(JobId job, absl::Status reason);
  void Drain(absl::Time deadline, absl::AnyInvocable<void() &&> on_drained);
  void Stop();
  void Wake();

  // Of all devices together: sums; the newest progress; ready when all that are left are, lost when none is left; the
  // longest backlog.
  EngineStatus status() const;

  // Each device, in the order of Create.
  std::vector<DeviceStatus> devices() const;

 private:
  struct Impl;
  explicit Dispatcher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stepcast

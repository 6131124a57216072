#pragma once
// An engine without a model: scripted time, scripted failures, pictures that depend on nothing but the job.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/mutex.h"
#include "scheduler/words/step_executor.h"
#include "tests/support/await.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {

struct FakeDeviceOptions {
  ExecutorLimits limits = {};
  // How long a plan takes on `clock`; null: no time passes.
  std::function<absl::Duration(const StepPlan&)> latency = {};
  SimulatedClock* clock = nullptr;  // REQUIRES: set when `latency` is
  bool embeddings_cached = false;   // jobs skip their encode
};

// What a test holds of a fake engine: the script, the gate and the log. Make executors from it with
// MakeFakeExecutor; it must outlive them.
//
// Thread-safety: every method may be called from any thread. Scripts run on the engine thread.
class FakeDevice {
 public:
  // Asked for each job of each plan; anything but OK is that job's result.
  using Fault = std::function<absl::Status(const Job&, Phase)>;
  // Asked for each job that is started; anything but OK is Start's answer.
  using StartFault = std::function<absl::Status(const Job&)>;
  // Asked for each job that is parked; anything but OK is Park's answer.
  using ParkFault = std::function<absl::Status()>;
  // Asked for each plan; true: Execute throws std::runtime_error.
  using Crash = std::function<bool(const StepPlan&)>;

  explicit FakeDevice(FakeDeviceOptions options = {}) : options_(std::move(options)) {}

  // The script; it may have state. Replaces what was set before.
  void SetFault(Fault fault);
  void SetStartFault(StartFault fault);
  void SetParkFault(ParkFault fault);
  void SetCrash(Crash crash);

  // The gate. Between Hold and Release every plan stops inside Execute, before anything has happened to its jobs.
  void Hold();
  void Release();
  // Waits until a plan stands at the gate. False when none comes (a minute).
  [[nodiscard]] bool AwaitHeld() const;

  // The log: StepPlan::ToString of every executed plan.
  std::vector<std::string> PlanLog() const;
  int plans() const;

  // How often an executor was told that no job is left.
  int idles() const { return idles_.load(); }

  // Job states that exist; 0 when nothing leaks.
  int live_states() const { return live_states_.load(); }

  const FakeDeviceOptions& options() const { return options_; }

 private:
  friend class FakeExecutor;
  friend class FakeJobState;

  // Logs the plan and waits at the gate. Throws when the script says so.
  void Enter(const StepPlan& plan);
  absl::Status FaultOf(const Job& job, Phase phase) const;
  absl::Status StartFaultOf(const Job& job) const;
  absl::Status ParkFaultOf() const;

  const FakeDeviceOptions options_;
  std::atomic<int> live_states_{0};
  std::atomic<int> idles_{0};
  mutable Mutex mutex_;
  mutable CondVar changed_;
  // Shared, so that a script can be replaced while it runs; never null.
  std::shared_ptr<Fault> fault_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Fault>();
  std::shared_ptr<StartFault> start_fault_ ABSL_GUARDED_BY(mutex_) = std::make_shared<StartFault>();
  std::shared_ptr<ParkFault> park_fault_ ABSL_GUARDED_BY(mutex_) = std::make_shared<ParkFault>();
  std::shared_ptr<Crash> crash_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Crash>();
  std::vector<std::string> log_ ABSL_GUARDED_BY(mutex_);
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  bool at_gate_ ABSL_GUARDED_BY(mutex_) = false;
};

std::unique_ptr<StepExecutor> MakeFakeExecutor(FakeDevice& device);

// What a job's picture must look like after it ran alone: width x height of one colour that depends on the seed
// and on every evaluation of the program (timestep, guidance, draw), in order.
SharedImage ExpectedFakeImage(const Job& job);
SharedImage ExpectedFakeImage(const JobSpec& spec);

}  // namespace stepcast

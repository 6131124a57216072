#pragma once
// A StepScheduler and a fake engine on a simulated clock: thousands of seconds of traffic in one of ours.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/decide/step_scheduler.h"
#include "tests/support/fake_executor.h"
#include "tests/support/job_builder.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {

struct SimulationOptions {
  PolicyOptions policy = {.name = "fifo"};
  ExecutorLimits limits = {};
  bool embeddings_cached = false;
  // How long a plan takes; default: 20 ms plus 10 ms per row, whatever the phase.
  std::function<absl::Duration(const StepPlan&)> latency = {};
  InvariantChecks checks = InvariantChecks::kEveryCall;
  bool keep_log = true;
  std::vector<CostEntry> initial_costs = {};
  std::map<std::string, double> tenant_weights = {};
  SchedulerObserver* observer = nullptr;  // outlives the simulation
};

// Follows every event of every job and keeps what is not as it should be: progress that jumps or goes back, a
// picture that differs from that of a lone run, an end that comes twice, silence of more than a heartbeat plus
// one tick.
class StorySink final : public EventSink {
 public:
  explicit StorySink(const Clock& clock) : clock_(clock) {}

  void Expect(JobId job, const JobSpec& spec);
  void OnEvent(JobEvent event) override;

  // "" while everything is as it should be.
  const std::string& complaint() const { return complaint_; }
  int admitted() const { return admitted_; }
  int ended(absl::StatusCode code) const;
  int ended() const;
  int live() const { return static_cast<int>(stories_.size()); }
  absl::Duration longest_silence() const { return longest_silence_; }

 private:
  struct Story {
    SharedImage expected = {};
    bool wants_previews = false;
    int evaluations = 0;
    bool has_image = false;
    absl::Time last_word = {};
  };
  void Complain(JobId job, const std::string& what);

  const Clock& clock_;
  absl::flat_hash_map<JobId, Story> stories_;  // of live jobs
  std::map<absl::StatusCode, int> ends_;
  int admitted_ = 0;
  absl::Duration longest_silence_;
  std::string complaint_;
};

class Simulation {
 public:
  explicit Simulation(SimulationOptions options);
  ~Simulation();

  // Runs `action` as soon as the clock reaches `offset` from the start, as mail would arrive: between two turns or
  // between a plan's execution and its completion.
  void At(absl::Duration offset, std::function<void()> action);

  // Submits the jobs of one request now. Returns their ids.
  std::vector<JobId> Submit(TestJob job);
  void Cancel(JobId job, absl::Status reason = absl::CancelledError("cancelled by the client"));

  // One plan, or one jump to the next time at which something can happen. False when nothing is left.
  bool Turn();
  // False when work is left after `turns`.
  [[nodiscard]] bool RunUntilIdle(int turns = 1'000'000);

  absl::Duration elapsed() const { return clock_.Now() - absl::UnixEpoch(); }
  FakeDevice& device() { return device_; }
  StepScheduler& scheduler() { return scheduler_; }
  const StorySink& stories() const { return *stories_; }
  // Lines of "<seconds> <what>": submits, plans, ends.
  const std::vector<std::string>& log() const { return log_; }
  // Called with every plan before it is executed.
  void OnPlan(std::function<void(const StepPlan&)> listener) { on_plan_ = std::move(listener); }

 private:
  void RunDueActions();
  void Log(const std::string& what);

  const SimulationOptions options_;
  SimulatedClock clock_;
  FakeDevice device_;
  const std::unique_ptr<StepExecutor> executor_;
  const std::shared_ptr<StorySink> stories_;
  NullEngineMetrics metrics_;
  StepScheduler scheduler_;
  std::multimap<absl::Time, std::function<void()>> actions_;
  std::function<void(const StepPlan&)> on_plan_;
  std::vector<std::string> log_;
  int64_t last_id_ = 0;
};

}  // namespace stepcast

#include "scheduler/loop/engine_loop.h"

#include <algorithm>
#include <climits>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/loop/front_desk.h"
#include "scheduler/words/guarded.h"

namespace stepcast {
namespace {

absl::Status CheckRange(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, "; allowed: ", low, "..", high));
}

absl::Status CheckOptions(const EngineLoopOptions& options, const ExecutorLimits& limits) {
  STEPCAST_RETURN_IF_ERROR(CheckRange("scheduler.max_queued_jobs", options.admission.max_queued_jobs, 1, 100'000));
  STEPCAST_RETURN_IF_ERROR(CheckRange("max_denoise_rows", limits.max_denoise_rows, 2, 4096));
  STEPCAST_RETURN_IF_ERROR(CheckRange("max_encode_jobs", limits.max_encode_jobs, 1, 4096));
  STEPCAST_RETURN_IF_ERROR(CheckRange("max_decode_jobs", limits.max_decode_jobs, 1, 4096));
  STEPCAST_RETURN_IF_ERROR(CheckRange("id_stride", options.id_stride, 1, 4096));
  STEPCAST_RETURN_IF_ERROR(CheckRange("id_first", options.id_first, 1, options.id_stride));
  for (const auto& [tenant, weight] : options.tenant_weights) {
    if (weight > 0.0 && weight <= 1e6) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the weight of tenant '", tenant, "' is ", weight, "; allowed: above 0, at most 1e6"));
  }
  STEPCAST_RETURN_IF_ERROR(CheckRange("max_resident_jobs", limits.max_resident_jobs, 1, INT_MAX));
  if (limits.strict_rows != 0) STEPCAST_RETURN_IF_ERROR(CheckRange("strict_rows", limits.strict_rows, 2, 4096));
  if (options.heartbeat <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("heartbeat is ", absl::FormatDuration(options.heartbeat), "; it must be positive"));
  }
  return absl::OkStatus();
}

}  // namespace

struct EngineLoop::Impl {
  Impl(const EngineLoopOptions& the_options, std::unique_ptr<SchedulingPolicy> policy,
       std::unique_ptr<StepExecutor> the_executor, const Clock& the_clock, EngineMetrics& the_metrics);
  ~Impl() { Stop(); }

  // A job that makes room on the device. What the executor keeps for it is the engine's while the tick runs, because
  // the job may end meanwhile.
  struct Evicted {
    JobId job;
    std::unique_ptr<JobState> state;
    absl::Status parked = {};
  };
  // A tick, from its plan to its results.
  struct Tick {
    absl::Time begun;
    StepPlan plan;
    std::vector<Job*> jobs = {};  // its own; they stay while it is in flight
    std::vector<Evicted> evicted = {};
    absl::Time due = {};                              // when the desk has something to do meanwhile
    std::optional<IdleProfile::Tick> synthetic = {};  // to run instead: nobody is here
    absl::Duration idle = {};                         // how long there is nothing to do; of an empty plan
    bool empties = false;                             // the executor is to be told that no job is left
  };

  // Any thread.
  void Post(Mail mail);
  void Stop();

  // The engine thread.
  void Run();
  void Turn();
  Tick Begin();
  void Execute(Tick& tick);
  void End(Tick& tick, std::vector<StepResult> results, absl::Time end);
  void Measure(const Tick& tick);
  void ReadMail(absl::Duration timeout);
  void ReadLetters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(desk.mutex);
  void StartNew(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(desk.mutex);
  void HandOut(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(desk.mutex);
  std::vector<Evicted> TakeEvicted(const StepPlan& plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(desk.mutex);
  void GiveBack(std::vector<Evicted>& evicted, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(desk.mutex);
  void GiveAnswers();

  // The desk thread.
  void Attend();

  const EngineLoopOptions options;
  const Clock& clock;
  EngineMetrics& metrics;
  Mailbox mailbox;

  // The engine thread's alone, but for its limits. It outlives the jobs, whose states it made.
  const std::unique_ptr<StepExecutor> executor;
  FrontDesk desk;

  // Below: the engine thread's alone.
  std::deque<Mail> letters;                // those that are being read
  std::vector<FrontDesk::Answer> answers;  // to give once the lock is free
  bool open = true;                        // false once the mailbox is closed
  bool busy = true;                        // false once the executor knows that no job is left

  Mutex join_mutex;
  // Last: they use everything above from their first instruction, so they start after all of it is built.
  std::thread desk_thread ABSL_GUARDED_BY(join_mutex);
  std::thread engine_thread ABSL_GUARDED_BY(join_mutex);
};

EngineLoop::Impl::Impl(const EngineLoopOptions& the_options, std::unique_ptr<SchedulingPolicy> policy,
                       std::unique_ptr<StepExecutor> the_executor, const Clock& the_clock, EngineMetrics& the_metrics)
    : options(the_options),
      clock(the_clock),
      metrics(the_metrics),
      executor(std::move(the_executor)),
      desk(options, std::move(policy), executor->Limits(), clock, metrics),
      desk_thread([this] { Attend(); }),
      engine_thread([this] { Run(); }) {}

void EngineLoop::Impl::Post(Mail mail) {
  if (!mailbox.Post(mail)) FrontDesk::Return(std::move(mail));
}

void EngineLoop::Impl::Stop() {
  mailbox.Close();
  MutexLock lock(join_mutex);
  if (engine_thread.joinable()) engine_thread.join();
  if (desk_thread.joinable()) desk_thread.join();
}

void EngineLoop::Impl::Run() {
  const std::vector<CostEntry> learned = LearnCosts(options.profile, *executor, clock);
  {
    MutexLock lock(desk.mutex);
    for (const CostEntry& entry : learned) {
      desk.scheduler().SetCurve(entry.key, entry.points);
      if (entry.row_cap > 0) desk.scheduler().LowerRowCap(entry.key, entry.row_cap);
    }
    desk.SetReady(clock.Now());
  }
  while (open) Turn();
  {
    MutexLock lock(desk.mutex);
    SaveCosts(options.profile, desk.scheduler().costs());
    desk.Stop();
    answers = desk.TakeDrained();
    desk.Publish();
  }
  GiveAnswers();
}

// One turn: decide, do, tell, read the mail. Only an idle turn waits.
void EngineLoop::Impl::Turn() {
  Tick tick = Begin();
  GiveAnswers();
  if (!tick.plan.empty()) return Execute(tick);
  if (tick.synthetic.has_value()) return Measure(tick);
  if (tick.empties) {
    mailbox.Leave(tick.due);
    executor->OnIdle();
    mailbox.Return();
    return;  // somebody may have come meanwhile
  }
  ReadMail(tick.idle);
}

EngineLoop::Impl::Tick EngineLoop::Impl::Begin() {
  MutexLock lock(desk.mutex);
  StepScheduler& scheduler = desk.scheduler();
  const absl::Time now = clock.Now();
  StartNew(now);
  desk.Tend(now);
  HandOut(now);
  Tick tick{.begun = now, .plan = scheduler.Next(now)};
  tick.evicted = TakeEvicted(tick.plan);
  tick.jobs = scheduler.JobsOf(tick.plan);
  tick.due = desk.NextDue();
  answers = desk.TakeDrained();
  if (tick.plan.empty()) {
    absl::Time until = tick.due;
    if (tick.plan.wake_at.has_value()) until = std::min(until, *tick.plan.wake_at);
    tick.idle = until - clock.Now();
    if (scheduler.live() == 0) tick.synthetic = desk.profile().Next();
    if (tick.synthetic.has_value()) busy = true;
    tick.empties = scheduler.live() == 0 && !tick.synthetic.has_value() && std::exchange(busy, false);
  } else {
    busy = true;
    desk.BeginTick();
  }
  desk.Publish();
  return tick;
}

void EngineLoop::Impl::StartNew(absl::Time now) {
  for (const JobId id : desk.TakeNew()) {
    Job* job = desk.scheduler().Find(id);
    if (job == nullptr) continue;  // it has gone already
    const std::vector<int> before = job->to_encode();
    const absl::Status started = Guarded([&] { return executor->Start(*job); });
    if (!started.ok()) {
      desk.scheduler().Fail(id, started, now);
    } else if (job->to_encode() != before) {
      desk.scheduler().EncodeOnly(id, job->to_encode(), now);
    }
  }
}

// With the lock held, which at the end of a drain keeps nobody waiting: it copies some latents.
void EngineLoop::Impl::HandOut(absl::Time now) {
  for (const JobId id : desk.TakeHandOuts(now)) {
    const Job& job = *desk.scheduler().Find(id);
    SavedState state;
    const absl::Status saved = Guarded([&] {
      absl::StatusOr<SavedState> made = executor->Save(job);
      if (made.ok()) state = *std::move(made);
      return made.status();
    });
    // Whoever cannot be saved goes on from the start.
    if (!saved.ok()) state = nullptr;
    desk.scheduler().HandOut(id, std::move(state), FrontDesk::HandedOut(), now);
  }
}

std::vector<EngineLoop::Impl::Evicted> EngineLoop::Impl::TakeEvicted(const StepPlan& plan) {
  std::vector<Evicted> evicted;
  for (const JobId id : plan.evict) {
    Job* job = desk.scheduler().Find(id);
    if (job != nullptr && job->state() != nullptr) evicted.push_back({.job = id, .state = job->TakeState()});
  }
  return evicted;
}

// What is left of a parked job's life depends on it: a failure ends that job only.
void EngineLoop::Impl::GiveBack(std::vector<Evicted>& evicted, absl::Time now) {
  for (Evicted& one : evicted) {
    Job* job = desk.scheduler().Find(one.job);
    if (job == nullptr) continue;
    job->set_state(std::move(one.state));
    if (!one.parked.ok()) desk.scheduler().Fail(one.job, one.parked, now);
  }
}

void EngineLoop::Impl::Execute(Tick& tick) {
  mailbox.Leave(tick.due);
  for (Evicted& one : tick.evicted) one.parked = Guarded([&] { return executor->Park(*one.state); });
  std::vector<StepResult> results;
  const absl::Status crash = Guarded([&] {
    results = executor->Execute(tick.plan, tick.jobs);
    return absl::OkStatus();
  });
  if (!crash.ok()) {
    // ABORTED where it may be the fault of any of several.
    const absl::Status shared = WithReason(absl::AbortedError(crash.message()), "ENGINE_ERROR");
    results.assign(tick.jobs.size(), StepResult{.status = tick.jobs.size() == 1 ? crash : shared});
  }
  const absl::Time end = clock.Now();
  mailbox.Return();
  End(tick, std::move(results), end);
  GiveAnswers();
}

void EngineLoop::Impl::End(Tick& tick, std::vector<StepResult> results, absl::Time end) {
  const StepPlan& plan = tick.plan;
  const bool device_lost = std::any_of(results.begin(), results.end(), [](const StepResult& result) {
    return ErrorReason(result.status) == "DEVICE_LOST";
  });
  const std::optional<int> cap = executor->TakeMemoryCap(plan.key);
  std::vector<std::unique_ptr<JobState>> left_behind;  // freed once the lock is free
  MutexLock lock(desk.mutex);
  // The very time that Complete divides among the jobs.
  metrics.ObserveTick(PhaseName(plan.phase()), plan.key.model, static_cast<int>(plan.jobs.size()), plan.rows,
                      end - tick.begun);
  // Before the mail, so that a request that came meanwhile is refused and may go to another device.
  left_behind = desk.EndTick(end, device_lost);
  GiveBack(tick.evicted, end);
  // Before Complete, so that whoever was cancelled during the tick ends cancelled and its result is dropped.
  open = mailbox.Take(absl::ZeroDuration(), letters);
  ReadLetters();
  desk.scheduler().Complete(plan, std::move(results), end);
  if (cap.has_value()) desk.scheduler().LowerRowCap(plan.key, *cap);
  desk.GiveUpIfLost(end);
}

void EngineLoop::Impl::Measure(const Tick& tick) {
  mailbox.Leave(tick.due);
  const absl::Time start = clock.Now();
  const absl::Status ran = Guarded([&] { return executor->RunSynthetic(tick.synthetic->key, tick.synthetic->rows); });
  const absl::Duration took = clock.Now() - start;
  mailbox.Return();
  {
    MutexLock lock(desk.mutex);
    desk.OnLearned(ran, took);
  }
  ReadMail(absl::ZeroDuration());
}

void EngineLoop::Impl::ReadMail(absl::Duration timeout) {
  open = mailbox.Take(timeout, letters);
  {
    MutexLock lock(desk.mutex);
    ReadLetters();
  }
  GiveAnswers();
}

void EngineLoop::Impl::ReadLetters() {
  if (!open) desk.Close();
  for (Mail& letter : letters) {
    if (FrontDesk::Answer answer = desk.Read(std::move(letter))) answers.push_back(std::move(answer));
  }
  letters.clear();
}

void EngineLoop::Impl::GiveAnswers() {
  for (FrontDesk::Answer& answer : answers) std::move(answer)();
  answers.clear();
}

void EngineLoop::Impl::Attend() {
  while (mailbox.AwaitUnattended(clock)) {
    FrontDesk::Answer answer;
    {
      MutexLock lock(desk.mutex);
      // One letter at a time: so the engine, when it is back, waits for one at most.
      if (std::optional<Mail> letter = mailbox.TakeUnattended()) answer = desk.Read(*std::move(letter));
      desk.Tend(clock.Now());
      desk.Publish();
      mailbox.SetDue(desk.NextDue());
    }
    if (answer) std::move(answer)();
  }
}

absl::StatusOr<std::unique_ptr<EngineLoop>> EngineLoop::Create(EngineLoopOptions options,
                                                               std::unique_ptr<StepExecutor> executor,
                                                               const Clock& clock, EngineMetrics& metrics) {
  STEPCAST_RETURN_IF_ERROR(CheckOptions(options, executor->Limits()));
  STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<SchedulingPolicy> policy, MakePolicy(options.policy));
  return std::unique_ptr<EngineLoop>(
      new EngineLoop(std::make_unique<Impl>(options, std::move(policy), std::move(executor), clock, metrics)));
}

EngineLoop::EngineLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EngineLoop::~EngineLoop() = default;

void EngineLoop::Submit(std::vector<JobSpec> specs,
                        absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision) {
  impl_->Post(SubmitMail{.specs = std::move(specs), .on_decision = std::move(on_decision)});
}

void EngineLoop::Estimate(std::vector<JobSpec> specs,
                          absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict) {
  impl_->Post(EstimateMail{.specs = std::move(specs), .on_verdict = std::move(on_verdict)});
}

void EngineLoop::Snapshot(absl::AnyInvocable<void(ScheduleView) &&> on_view) {
  impl_->Post(SnapshotMail{.on_view = std::move(on_view)});
}

void EngineLoop::Learn(std::vector<BatchKey> keys) { impl_->Post(LearnMail{.keys = std::move(keys)}); }

void EngineLoop::Cancel(JobId job, absl::Status reason) {
  impl_->Post(CancelMail{.job = job, .reason = std::move(reason)});
}

void EngineLoop::Drain(absl::Time deadline, absl::AnyInvocable<void() &&> on_drained) {
  // Shown at once: readiness must not wait for the engine.
  impl_->desk.ShowDraining();
  impl_->Post(DrainMail{.deadline = deadline, .on_drained = std::move(on_drained)});
}

void EngineLoop::Stop() { impl_->Stop(); }
void EngineLoop::Wake() { impl_->mailbox.Wake(); }
EngineStatus EngineLoop::status() const { return impl_->desk.status(); }

}  // namespace stepcast

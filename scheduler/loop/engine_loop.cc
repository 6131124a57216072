#include "scheduler/loop/engine_loop.h"

#include <algorithm>
#include <climits>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "scheduler/decide/admission.h"
#include "scheduler/decide/step_scheduler.h"
#include "scheduler/loop/schedule_view.h"
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

absl::Status Draining(absl::string_view what) { return WithReason(absl::UnavailableError(what), "DRAINING"); }
absl::Status Lost() { return WithReason(absl::UnavailableError("the device is lost"), "DEVICE_LOST"); }
absl::Status Stopped() { return Draining("the engine has stopped"); }

StepSchedulerOptions SchedulerOptions(const EngineLoopOptions& options, const ExecutorLimits& limits) {
  return {.limits = limits,
          .heartbeat = options.heartbeat,
          .tenant_weights = options.tenant_weights,
          .observer = options.observer};
}

}  // namespace

struct EngineLoop::Impl {
  Impl(const EngineLoopOptions& the_options, std::unique_ptr<SchedulingPolicy> policy,
       std::unique_ptr<StepExecutor> the_executor, const Clock& the_clock, EngineMetrics& the_metrics);
  ~Impl() { Stop(); }

  // Any thread.
  void Post(Mail mail);
  void Stop();
  EngineStatus Status() const;

  // The engine thread.
  void Run();
  void Turn();
  void ReadMail(absl::Duration timeout);
  void Read(SubmitMail mail);
  void Read(CancelMail mail);
  void Read(DrainMail mail);
  void Read(EstimateMail mail);
  void Read(SnapshotMail mail);
  absl::StatusOr<AdmissionVerdict> Judge(absl::Span<const JobSpec> specs, absl::Time now) const;
  std::vector<std::unique_ptr<Job>> MakeJobs(std::vector<JobSpec> specs);
  void Execute(const StepPlan& plan);
  void Park(JobId id);
  void CheckDrain();
  void Publish();
  absl::Duration IdleTime(const StepPlan& plan) const;

  const EngineLoopOptions options;
  const Clock& clock;
  EngineMetrics& metrics;
  Mailbox mailbox;

  mutable Mutex status_mutex;
  EngineStatus status ABSL_GUARDED_BY(status_mutex);

  // Below: the engine thread's alone. The executor outlives the jobs, whose states it made.
  const std::unique_ptr<StepExecutor> executor;
  StepScheduler scheduler;
  std::vector<Mail> letters;  // kept for its capacity
  int64_t next_job_id;
  bool open = true;  // false once the mailbox is closed
  bool draining = false;
  bool ready = false;
  bool lost = false;  // the executor said so: it is not asked again
  bool busy = true;   // false once the executor knows that no job is left
  absl::Time drain_deadline = absl::InfiniteFuture();
  std::vector<absl::AnyInvocable<void() &&>> on_drained;
  absl::Time last_progress;

  Mutex join_mutex;
  // Last: the thread uses everything above from its first instruction, so it starts after all of it is built.
  std::thread thread ABSL_GUARDED_BY(join_mutex);
};

EngineLoop::Impl::Impl(const EngineLoopOptions& the_options, std::unique_ptr<SchedulingPolicy> policy,
                       std::unique_ptr<StepExecutor> the_executor, const Clock& the_clock, EngineMetrics& the_metrics)
    : options(the_options),
      clock(the_clock),
      metrics(the_metrics),
      status{.last_progress = clock.Now()},
      executor(std::move(the_executor)),
      scheduler(std::move(policy), SchedulerOptions(options, executor->Limits()), the_metrics),
      next_job_id(options.id_first),
      last_progress(status.last_progress),
      thread([this] { Run(); }) {}

void EngineLoop::Impl::Post(Mail mail) {
  if (mailbox.Post(mail)) return;
  if (auto* submit = std::get_if<SubmitMail>(&mail)) std::move(submit->on_decision)(Stopped());
  if (auto* drain = std::get_if<DrainMail>(&mail)) std::move(drain->on_drained)();
  if (auto* estimate = std::get_if<EstimateMail>(&mail)) std::move(estimate->on_verdict)(Stopped());
  if (auto* snapshot = std::get_if<SnapshotMail>(&mail)) std::move(snapshot->on_view)(ScheduleView());
}

void EngineLoop::Impl::Stop() {
  mailbox.Close();
  MutexLock lock(join_mutex);
  if (thread.joinable()) thread.join();
}

EngineStatus EngineLoop::Impl::Status() const {
  MutexLock lock(status_mutex);
  return status;
}

void EngineLoop::Impl::Run() {
  for (const CostEntry& entry : LearnCosts(options.profile, *executor, clock)) {
    scheduler.SetCurve(entry.key, entry.points);
    if (entry.row_cap > 0) scheduler.LowerRowCap(entry.key, entry.row_cap);
  }
  last_progress = clock.Now();
  ready = true;
  while (open) Turn();
  SaveCosts(options.profile, scheduler.costs());
  scheduler.CancelAll(Stopped(), clock.Now());
  draining = true;
  CheckDrain();
  Publish();
}

// One turn: read the mail, decide, do, tell. Only an idle turn waits.
void EngineLoop::Impl::Turn() {
  const absl::Time now = clock.Now();
  if (now >= drain_deadline) {
    drain_deadline = absl::InfiniteFuture();
    scheduler.CancelAll(Draining("the engine is shutting down"), now);
  }
  scheduler.Heartbeat(now);
  const StepPlan plan = scheduler.Next(now);
  CheckDrain();
  Publish();
  if (!plan.empty()) {
    Execute(plan);
    busy = true;
    return;
  }
  if (scheduler.live() == 0 && std::exchange(busy, false)) executor->OnIdle();
  ReadMail(IdleTime(plan));
}

void EngineLoop::Impl::ReadMail(absl::Duration timeout) {
  open = mailbox.Take(timeout, letters);
  for (Mail& letter : letters) {
    std::visit([this](auto& mail) { Read(std::move(mail)); }, letter);
  }
  letters.clear();
}

void EngineLoop::Impl::Read(SubmitMail mail) {
  const absl::Time now = clock.Now();
  scheduler.Rest(now);
  absl::StatusOr<AdmissionVerdict> verdict = Judge(mail.specs, now);
  if (!verdict.ok()) {
    if (open && !lost && !draining && options.observer != nullptr) {
      options.observer->OnRefuse(mail.specs, verdict.status(), now);
    }
    return std::move(mail.on_decision)(std::move(verdict).status());
  }

  std::vector<std::unique_ptr<Job>> jobs = MakeJobs(std::move(mail.specs));
  Admission admission{
      .jobs = {}, .queue_position = verdict->queue_position, .wait = verdict->wait, .total = verdict->total};
  for (const auto& job : jobs) {
    admission.jobs.push_back(job->id());
    admission.work += scheduler.costs().Isolated(job->spec());
  }
  std::move(mail.on_decision)(std::move(admission));

  std::vector<std::pair<JobId, absl::Status>> failed;
  for (const auto& job : jobs) {
    absl::Status started = Guarded([&] { return executor->Start(*job); });
    if (!started.ok()) failed.emplace_back(job->id(), std::move(started));
  }
  scheduler.Submit(std::move(jobs), now);
  for (const auto& [id, why] : failed) scheduler.Fail(id, why, now);
}

std::vector<std::unique_ptr<Job>> EngineLoop::Impl::MakeJobs(std::vector<JobSpec> specs) {
  std::vector<std::unique_ptr<Job>> jobs;
  jobs.reserve(specs.size());
  for (JobSpec& spec : specs) {
    jobs.push_back(std::make_unique<Job>(JobId{next_job_id}, std::move(spec)));
    next_job_id += options.id_stride;
  }
  return jobs;
}

absl::StatusOr<AdmissionVerdict> EngineLoop::Impl::Judge(absl::Span<const JobSpec> specs, absl::Time now) const {
  if (!open) return Stopped();
  if (lost) return Lost();
  if (draining) return Draining("the engine is draining");
  return CheckAdmission(options.admission, specs, scheduler, now);
}

void EngineLoop::Impl::Read(EstimateMail mail) {
  const absl::Time now = clock.Now();
  scheduler.Rest(now);
  std::move(mail.on_verdict)(Judge(mail.specs, now));
}

void EngineLoop::Impl::Read(SnapshotMail mail) { std::move(mail.on_view)(MakeView(scheduler, clock.Now())); }

void EngineLoop::Impl::Read(CancelMail mail) { scheduler.Cancel(mail.job, mail.reason, clock.Now()); }

void EngineLoop::Impl::Read(DrainMail mail) {
  draining = true;
  drain_deadline = std::min(drain_deadline, mail.deadline);
  on_drained.push_back(std::move(mail.on_drained));
}

void EngineLoop::Impl::Execute(const StepPlan& plan) {
  for (const JobId id : plan.evict) Park(id);
  const std::vector<Job*> jobs = scheduler.JobsOf(plan);
  const absl::Time start = clock.Now();
  std::vector<StepResult> results;
  const absl::Status crash = Guarded([&] {
    results = executor->Execute(plan, jobs);
    return absl::OkStatus();
  });
  if (!crash.ok()) {
    results.assign(jobs.size(), StepResult{.status = crash, .preview = nullptr, .image = nullptr});
  }
  last_progress = clock.Now();
  metrics.ObserveTick(PhaseName(plan.phase()), plan.key.model, static_cast<int>(plan.jobs.size()), plan.rows,
                      last_progress - start);
  // Before the mail, so that a request that came meanwhile is refused and may go to another device.
  for (const StepResult& result : results) lost |= ErrorReason(result.status) == "DEVICE_LOST";
  // Before Complete, so that whoever was cancelled during the tick ends cancelled and its result is dropped.
  ReadMail(absl::ZeroDuration());
  scheduler.Complete(plan, std::move(results), last_progress);
  if (const std::optional<int> cap = executor->TakeMemoryCap(plan.key)) scheduler.LowerRowCap(plan.key, *cap);
  if (lost) scheduler.CancelAll(Lost(), last_progress);
}

// What is left of a parked job's life depends on it: a failure ends that job only.
void EngineLoop::Impl::Park(JobId id) {
  Job* job = scheduler.Find(id);
  if (job == nullptr) return;
  const absl::Status parked = Guarded([&] { return executor->Park(*job); });
  if (!parked.ok()) scheduler.Fail(id, parked, clock.Now());
}

void EngineLoop::Impl::CheckDrain() {
  if (!draining || scheduler.live() > 0) return;
  for (auto& callback : std::exchange(on_drained, {})) std::move(callback)();
}

void EngineLoop::Impl::Publish() {
  const int running = scheduler.live() - scheduler.waiting();
  EngineStatus now{.waiting = scheduler.waiting(),
                   .running = running,
                   .parked = running - static_cast<int>(scheduler.Snapshot().residents.size()),
                   .ticks = scheduler.plans_made(),
                   .last_progress = last_progress,
                   .draining = draining,
                   .ready = ready,
                   .lost = lost,
                   .backlog = scheduler.lanes().backlog()};
  bool queue_changed = false;
  bool parked_changed = false;
  {
    MutexLock lock(status_mutex);
    now.draining |= status.draining;
    queue_changed = status.waiting != now.waiting || status.running != now.running;
    parked_changed = status.parked != now.parked;
    status = now;
  }
  if (queue_changed) metrics.SetQueue(now.waiting, now.running);
  if (parked_changed) metrics.SetParked(now.parked);
}

absl::Duration EngineLoop::Impl::IdleTime(const StepPlan& plan) const {
  absl::Time until = std::min(scheduler.NextEvent(), drain_deadline);
  if (plan.wake_at.has_value()) until = std::min(until, *plan.wake_at);
  return until - clock.Now();
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

void EngineLoop::Cancel(JobId job, absl::Status reason) {
  impl_->Post(CancelMail{.job = job, .reason = std::move(reason)});
}

void EngineLoop::Drain(absl::Time deadline, absl::AnyInvocable<void() &&> on_drained) {
  {
    // Shown at once: readiness must not wait for the running tick.
    MutexLock lock(impl_->status_mutex);
    impl_->status.draining = true;
  }
  impl_->Post(DrainMail{.deadline = deadline, .on_drained = std::move(on_drained)});
}

void EngineLoop::Stop() { impl_->Stop(); }
void EngineLoop::Wake() { impl_->mailbox.Wake(); }
EngineStatus EngineLoop::status() const { return impl_->Status(); }

}  // namespace stepcast

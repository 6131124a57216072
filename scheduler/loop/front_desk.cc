#include "scheduler/loop/front_desk.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "core/error_reason.h"
#include "scheduler/decide/admission.h"
#include "scheduler/decide/forecast.h"

namespace stepcast {
namespace {

absl::Status Draining(absl::string_view what) { return WithReason(absl::UnavailableError(what), "DRAINING"); }
absl::Status Lost() { return WithReason(absl::UnavailableError("the device is lost"), "DEVICE_LOST"); }
absl::Status Stopped() { return Draining("the engine has stopped"); }

template <typename Callback, typename Value>
FrontDesk::Answer Later(Callback callback, Value value) {
  return
      [callback = std::move(callback), value = std::move(value)]() mutable { std::move(callback)(std::move(value)); };
}

}  // namespace

FrontDesk::FrontDesk(const EngineLoopOptions& options, std::unique_ptr<SchedulingPolicy> policy,
                     const ExecutorLimits& limits, const Clock& clock, EngineMetrics& metrics)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      scheduler_(std::move(policy),
                 {.limits = limits,
                  .heartbeat = options.heartbeat,
                  .tenant_weights = options.tenant_weights,
                  .observer = options.observer,
                  .release =
                      [this](std::unique_ptr<JobState> state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
                        if (in_tick_) left_behind_.push_back(std::move(state));
                      }},
                 metrics),
      profile_(options.profile.budget),
      next_job_id_(options.id_first),
      last_progress_(clock.Now()),
      status_{.last_progress = last_progress_} {}

FrontDesk::Answer FrontDesk::Read(Mail mail) {
  return std::visit([this](auto& letter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return Do(std::move(letter)); }, mail);
}

FrontDesk::Answer FrontDesk::Do(SubmitMail mail) {
  const absl::Time now = clock_.Now();
  scheduler_.Rest(now);
  absl::StatusOr<AdmissionVerdict> verdict = Judge(mail.specs, now);
  if (!verdict.ok()) {
    NoteRefusal(mail.specs, verdict.status(), scheduler_, now);
    if (open_ && !lost_ && !draining_ && options_.observer != nullptr) {
      options_.observer->OnRefuse(mail.specs, verdict.status(), now);
    }
    return Later(std::move(mail.on_decision), std::move(verdict).status());
  }
  Admission admission = Admit(std::move(mail.specs), *verdict, now);
  Publish();
  std::move(mail.on_decision)(std::move(admission));
  return nullptr;
}

Admission FrontDesk::Admit(std::vector<JobSpec> specs, const AdmissionVerdict& verdict, absl::Time now) {
  Admission admission{
      .jobs = {}, .queue_position = verdict.queue_position, .wait = verdict.wait, .total = verdict.total};
  std::vector<std::unique_ptr<Job>> jobs;
  jobs.reserve(specs.size());
  for (JobSpec& spec : specs) {
    const JobId id{next_job_id_};
    next_job_id_ += options_.id_stride;
    admission.work += scheduler_.costs().Isolated(spec);
    admission.jobs.push_back(id);
    new_jobs_.push_back(id);
    jobs.push_back(std::make_unique<Job>(id, std::move(spec)));
  }
  scheduler_.Submit(std::move(jobs), now);
  return admission;
}

absl::StatusOr<AdmissionVerdict> FrontDesk::Judge(absl::Span<const JobSpec> specs, absl::Time now) const {
  if (!open_) return Stopped();
  if (lost_) return Lost();
  if (draining_) return Draining("the engine is draining");
  return CheckAdmission(options_.admission, specs, scheduler_, now);
}

FrontDesk::Answer FrontDesk::Do(EstimateMail mail) {
  const absl::Time now = clock_.Now();
  scheduler_.Rest(now);
  return Later(std::move(mail.on_verdict), Judge(mail.specs, now));
}

FrontDesk::Answer FrontDesk::Do(SnapshotMail mail) {
  return Later(std::move(mail.on_view), MakeView(scheduler_, clock_.Now()));
}

FrontDesk::Answer FrontDesk::Do(CancelMail mail) {
  scheduler_.Cancel(mail.job, mail.reason, clock_.Now());
  Publish();
  return nullptr;
}

FrontDesk::Answer FrontDesk::Do(DrainMail mail) {
  draining_ = true;
  drain_deadline_ = std::min(drain_deadline_, mail.deadline);
  on_drained_.push_back(std::move(mail.on_drained));
  to_hand_out_ = options_.hands_out;
  return nullptr;
}

FrontDesk::Answer FrontDesk::Do(LearnMail mail) {
  profile_.Add(mail.keys, scheduler_.costs());
  return nullptr;
}

void FrontDesk::OnLearned(const absl::Status& status, absl::Duration took) {
  const std::optional<CostEntry> learned = profile_.OnRan(status, took);
  if (!learned.has_value()) return;
  if (!learned->points.empty()) scheduler_.SetCurve(learned->key, learned->points);
  if (learned->row_cap > 0) scheduler_.LowerRowCap(learned->key, learned->row_cap);
}

void FrontDesk::Tend(absl::Time now) {
  // Only the engine can hand out; it does so before its next tick.
  if (now >= drain_deadline_ && options_.hands_out) {
    to_hand_out_ = true;
  } else if (now >= drain_deadline_) {
    drain_deadline_ = absl::InfiniteFuture();
    scheduler_.CancelAll(HandedOut(), now);
  }
  scheduler_.Expire(now);
  scheduler_.Heartbeat(now);
}

absl::Time FrontDesk::NextDue() const {
  return to_hand_out_ ? scheduler_.NextEvent() : std::min(scheduler_.NextEvent(), drain_deadline_);
}

std::vector<JobId> FrontDesk::TakeHandOuts(absl::Time now) {
  std::vector<JobId> late;
  if (!std::exchange(to_hand_out_, false)) return late;
  const bool over = now >= drain_deadline_;
  if (over) drain_deadline_ = absl::InfiniteFuture();
  const SchedulerSnapshot snapshot = scheduler_.Snapshot();
  for (const Expectation& one : Forecast(scheduler_.policy(), snapshot, {}, scheduler_.costs(), now, /*all=*/true)) {
    if (over || one.finish > drain_deadline_) late.push_back(one.view->job->id());
  }
  return late;
}

absl::Status FrontDesk::HandedOut() { return Draining("the engine is shutting down"); }

std::vector<FrontDesk::Answer> FrontDesk::TakeDrained() {
  if (!draining_ || scheduler_.live() > 0) return {};
  return std::exchange(on_drained_, {});
}

void FrontDesk::SetReady(absl::Time now) {
  last_progress_ = now;
  ready_ = true;
}

std::vector<std::unique_ptr<JobState>> FrontDesk::EndTick(absl::Time now, bool device_lost) {
  last_progress_ = now;
  lost_ |= device_lost;
  in_tick_ = false;
  return std::exchange(left_behind_, {});
}

std::vector<JobId> FrontDesk::TakeNew() { return std::exchange(new_jobs_, {}); }

void FrontDesk::GiveUpIfLost(absl::Time now) {
  if (lost_) scheduler_.CancelAll(Lost(), now);
}

void FrontDesk::Stop() {
  draining_ = true;
  scheduler_.CancelAll(Stopped(), clock_.Now());
}

void FrontDesk::Publish() {
  const int running = scheduler_.live() - scheduler_.waiting();
  EngineStatus now{.waiting = scheduler_.waiting(),
                   .running = running,
                   .parked = running - static_cast<int>(scheduler_.Snapshot().residents.size()),
                   .ticks = scheduler_.plans_made(),
                   .last_progress = last_progress_,
                   .draining = draining_,
                   .ready = ready_,
                   .lost = lost_,
                   .backlog = scheduler_.lanes().backlog()};
  bool queue_changed = false;
  bool parked_changed = false;
  {
    MutexLock lock(status_mutex_);
    now.draining |= status_.draining;
    queue_changed = status_.waiting != now.waiting || status_.running != now.running;
    parked_changed = status_.parked != now.parked;
    status_ = now;
  }
  if (queue_changed) metrics_.SetQueue(now.waiting, now.running);
  if (parked_changed) metrics_.SetParked(now.parked);
}

EngineStatus FrontDesk::status() const {
  MutexLock lock(status_mutex_);
  return status_;
}

void FrontDesk::ShowDraining() {
  MutexLock lock(status_mutex_);
  status_.draining = true;
}

void FrontDesk::Return(Mail mail) {
  if (auto* submit = std::get_if<SubmitMail>(&mail)) std::move(submit->on_decision)(Stopped());
  if (auto* drain = std::get_if<DrainMail>(&mail)) std::move(drain->on_drained)();
  if (auto* estimate = std::get_if<EstimateMail>(&mail)) std::move(estimate->on_verdict)(Stopped());
  if (auto* snapshot = std::get_if<SnapshotMail>(&mail)) std::move(snapshot->on_view)(ScheduleView());
}

}  // namespace stepcast

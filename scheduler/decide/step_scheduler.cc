#include "scheduler/decide/step_scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/decide/live_job.h"
#include "scheduler/words/ends.h"

namespace stepcast {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "scheduler invariant violated: %s\n", what.c_str());
  std::abort();
}

// For moves the scheduler itself decides: the table forbids none of them.
void Move(Job& job, JobStatus next) {
  const absl::Status status = job.MoveTo(next);
  if (!status.ok()) Die(status.ToString());
}

}  // namespace

StepScheduler::StepScheduler(std::unique_ptr<SchedulingPolicy> policy, const StepSchedulerOptions& options,
                             EngineMetrics& metrics)
    : policy_(std::move(policy)),
      options_(options),
      metrics_(metrics),
      costs_(options.limits),
      lanes_(costs_, options_.tenant_weights),
      timetable_(options_.heartbeat) {
  costs_.SetCurves(options_.initial_costs);
  if (options_.checks != InvariantChecks::kOff) invariants_ = std::make_unique<SchedulerInvariants>();
}

StepScheduler::~StepScheduler() = default;

void StepScheduler::Submit(std::vector<std::unique_ptr<Job>> jobs, absl::Time now) {
  Rest(now);
  // One job finds out what the device does now.
  bool probe = Rested(now);
  if (records_.empty()) timetable_.Begin(now);
  for (std::unique_ptr<Job>& job : jobs) {
    const JobId id = job->id();
    auto record = std::make_unique<LiveJob>(std::move(job), now);
    if (invariants_ != nullptr) invariants_->Admitted(*record->job);
    if (options_.observer != nullptr) options_.observer->OnSubmit(*record->job, now);
    timetable_.Enter(*record->job);
    record->view.probe = std::exchange(probe, false);
    index_.Insert(record->view, newest_plan_);
    lanes_.Insert(record->view, now);
    memory_.seen[static_cast<size_t>(record->job->request().priority)] = now;
    records_.emplace(id, std::move(record));
    ++waiting_;
  }
  AfterCall();
}

void StepScheduler::EncodeOnly(JobId id, std::vector<int> items, absl::Time now) {
  if (LiveJob* record = RecordOf(id)) {
    record->job->set_to_encode(std::move(items));
    if (options_.observer != nullptr) options_.observer->OnEncodeOnly(*record->job, now);
    if (invariants_ != nullptr) invariants_->EncodesOnly(*record->job);
    index_.Refresh(record->view, newest_plan_);
    lanes_.Refresh(record->view);
  }
  AfterCall();
}

bool StepScheduler::Rested(absl::Time now) const {
  return records_.empty() && last_tick_.has_value() && now - *last_tick_ >= kPause;
}

void StepScheduler::Rest(absl::Time now) {
  if (Rested(now)) costs_.Rest();
}

void StepScheduler::Cancel(JobId id, const absl::Status& reason, absl::Time now) {
  if (LiveJob* record = RecordOf(id)) {
    if (options_.observer != nullptr) options_.observer->OnLeave(id, reason, now);
    Leave(*record, reason, now);
  }
  AfterCall();
}

void StepScheduler::CancelAll(const absl::Status& reason, absl::Time now) {
  std::vector<JobId> ids;
  ids.reserve(records_.size());
  for (const JobView* view : index_.jobs()) ids.push_back(view->job->id());
  // Youngest first, so that leaving moves nobody in the arrays.
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    if (options_.observer != nullptr) options_.observer->OnLeave(*id, reason, now);
    Leave(*RecordOf(*id), reason, now);
  }
  AfterCall();
}

void StepScheduler::HandOut(JobId id, SavedState state, const absl::Status& reason, absl::Time now) {
  if (LiveJob* record = RecordOf(id)) {
    if (options_.observer != nullptr) options_.observer->OnLeave(id, reason, now);
    record->reporter.Saved(*record->job, std::move(state), /*handed_out=*/true);
    Leave(*record, reason, now);
  }
  AfterCall();
}

void StepScheduler::Fail(JobId id, const absl::Status& status, absl::Time now) {
  if (LiveJob* record = RecordOf(id)) {
    if (options_.observer != nullptr) options_.observer->OnLeave(id, status, now);
    End(*record, JobStatus::kFailed, status, now);
  }
  AfterCall();
}

StepPlan StepScheduler::Next(absl::Time now) {
  Expire(now);
  if (policy_->expires_hopeless()) ExpireHopeless(now);
  StepPlan plan = policy_->Next(Snapshot(), costs_, now);
  if (!plan.empty()) {
    plan.id = ++newest_plan_;
    plan.predicted = costs_.Predict(plan.key, plan.rows);
    plan.evict = ChooseEvictions(Snapshot(), plan);
    Launch(plan, now);
    if (options_.observer != nullptr) {
      options_.observer->OnPlan(plan, now);
      if (options_.observer->wants_jobs()) options_.observer->OnPlanJobs(plan, JobsOf(plan), now);
    }
  }
  AfterCall();
  return plan;
}

// Takes note of a plan that is about to run, and settles which previews it shows.
void StepScheduler::Launch(StepPlan& plan, absl::Time now) {
  if (invariants_ != nullptr) invariants_->Planned(plan, options_.limits);
  index_.MarkPlanned(plan.key, plan.id);
  Remember(plan);
  for (const JobId id : plan.evict) Evict(*RecordOf(id));
  for (const JobId id : plan.group) group_.push_back(&RecordOf(id)->view);
  auto flight = std::make_unique<Flight>();
  flight->planned = now;
  flight->records.reserve(plan.jobs.size());
  std::vector<JobView*> members;
  for (const JobId id : plan.jobs) {
    LiveJob* record = RecordOf(id);
    BeginTick(*record, plan, now);
    flight->records.push_back(record);
    const RowPart* part = plan.PartOf(id);
    flight->rows.push_back(part == nullptr ? record->view.rows : part->rows);
    const int beside = record->job->next().beside;
    flight->beside += part == nullptr ? beside : beside * part->rows / record->view.rows;
    if (part == nullptr || part->first_row + part->rows == record->job->next().rows) {
      members.push_back(&record->view);
    }
  }
  if (plan.phase() == Phase::kDenoise) {
    if (flight->beside > 0) {
      plan.predicted += costs_.Predict(plan.key, plan.rows + flight->beside) - costs_.Predict(plan.key, plan.rows);
    }
    flight->previews = previews_.Choose(members, costs_, now, plan);
    plan.predicted += flight->previews;
    for (LiveJob* record : flight->records) {
      const JobId id = record->job->id();
      record->job->set_shows_preview(std::binary_search(plan.previews.begin(), plan.previews.end(), id));
    }
  }
  flight->plan = plan;
  flights_.emplace(plan.id, std::move(flight));
}

void StepScheduler::Remember(const StepPlan& plan) {
  memory_.newest_plan = plan.id;
  const double seconds = absl::ToDoubleSeconds(plan.predicted);
  const bool denoises = plan.phase() == Phase::kDenoise;
  if (denoises) memory_.denoise = seconds;
  memory_.aside = denoises ? 0.0 : memory_.aside + seconds;
}

void StepScheduler::Evict(LiveJob& record) {
  Move(*record.job, JobStatus::kParked);
  record.job->DropRows();
  index_.Refresh(record.view, newest_plan_);
  residents_.Leave(record.view);
}

std::vector<Job*> StepScheduler::JobsOf(const StepPlan& plan) const {
  std::vector<Job*> jobs;
  const auto flight = flights_.find(plan.id);
  if (flight == flights_.end()) return jobs;
  jobs.reserve(flight->second->records.size());
  for (const LiveJob* record : flight->second->records) jobs.push_back(record->job.get());
  return jobs;
}

void StepScheduler::Complete(const StepPlan& plan, std::vector<StepResult> results, absl::Time now) {
  const auto entry = flights_.find(plan.id);
  if (entry == flights_.end()) Die(absl::StrCat("plan ", plan.id, " completed, but is not in flight"));
  const std::unique_ptr<const Flight> flight = std::move(entry->second);
  flights_.erase(entry);
  if (options_.observer != nullptr) options_.observer->OnComplete(flight->plan, results, now);
  Learn(*flight, results, now);
  last_tick_ = now;
  promises_.Worked(absl::ToDoubleSeconds(now - flight->planned), ToSeconds(now));
  const std::vector<DeviceCost> shares = flight->Shares(now - flight->planned);
  results.resize(shares.size(), {.status = EngineError("the executor returned no result for this job")});
  for (size_t i = 0; i < shares.size(); ++i) EndTick(*flight, i, shares[i], std::move(results[i]), now);
  if (invariants_ != nullptr) invariants_->Completed(flight->plan);
  AfterCall();
}

// A tick whose jobs all failed tells nothing about the cost of a good one.
void StepScheduler::Learn(const Flight& flight, absl::Span<const StepResult> results, absl::Time now) {
  if (std::none_of(results.begin(), results.end(), [](const StepResult& result) { return result.status.ok(); })) return;
  const absl::Duration measured = now - flight.planned;
  if (flight.plan.predicted > absl::ZeroDuration()) {
    metrics_.ObservePrediction(PhaseName(flight.plan.phase()), flight.plan.predicted, measured);
  }
  costs_.Observe(flight.plan.key, flight.plan.rows + flight.beside,
                 std::max(absl::ZeroDuration(), measured - flight.previews));
  lanes_.FollowCosts(flight.plan.key);
}

void StepScheduler::SetCurve(const BatchKey& key, const std::vector<CostPoint>& points) {
  if (options_.observer != nullptr) options_.observer->OnCurve(key, points);
  costs_.SetCurve(key, points);
  lanes_.FollowCosts(key);
}

Job* StepScheduler::Find(JobId id) const {
  const LiveJob* record = RecordOf(id);
  return record == nullptr ? nullptr : record->job.get();
}

void StepScheduler::LowerRowCap(const BatchKey& key, int rows) {
  if (options_.observer != nullptr) options_.observer->OnRowCap(key, rows);
  costs_.LowerRowCap(key, rows);
  lanes_.FollowCosts(key);
}

void StepScheduler::Heartbeat(absl::Time now) {
  if (!timetable_.TakeHeartbeat(now)) return;
  int ahead = 0;
  for (const JobView* view : index_.jobs()) {
    const bool waits = view->job->status() == JobStatus::kWaiting;
    LiveJob& record = *RecordOf(view->job->id());
    if (timetable_.Due(record.last_told, now)) {
      record.last_told = now;
      record.reporter.Progress(*view->job, waits ? ahead : 0);
    }
    if (waits) ++ahead;
  }
}

absl::Time StepScheduler::NextEvent() const {
  if (records_.empty()) return absl::InfiniteFuture();
  // Only Next gives up, and who is in flight is not given up.
  const bool gives_up = policy_->expires_hopeless() && flights_.empty();
  return std::min(timetable_.Next(), gives_up ? lanes_.NextHopeless() : absl::InfiniteFuture());
}

SchedulerSnapshot StepScheduler::Snapshot() const {
  absl::Time busy_until = absl::InfinitePast();
  for (const auto& [id, flight] : flights_) {
    busy_until = std::max(busy_until, flight->expected_end());
  }
  return {.jobs = index_.jobs(),
          .keys = index_.keys(),
          .group = group_,
          .lanes = lanes_.lanes(),
          .residents = residents_.views(),
          .elder = lanes_.elder(),
          .shares = &lanes_.shares(),
          .limits = options_.limits,
          .memory = memory_,
          .busy_until = busy_until};
}

absl::Status StepScheduler::CheckInvariants() { return invariants_->Check(Snapshot()); }

LiveJob* StepScheduler::RecordOf(JobId id) const {
  const auto entry = records_.find(id);
  return entry == records_.end() ? nullptr : entry->second.get();
}

void StepScheduler::Expire(absl::Time now) {
  while (const std::optional<JobId> id = timetable_.TakeExpired(now)) {
    if (options_.observer != nullptr) options_.observer->OnLeave(*id, TooLate(), now);
    Leave(*RecordOf(*id), TooLate(), now);
  }
}

void StepScheduler::ExpireHopeless(absl::Time now) {
  while (const JobView* hopeless = lanes_.Hopeless(now)) {
    const JobId id = hopeless->job->id();
    if (options_.observer != nullptr) options_.observer->OnLeave(id, Unreachable(), now);
    Leave(*RecordOf(id), Unreachable(), now);
  }
}

void StepScheduler::Leave(LiveJob& record, const absl::Status& reason, absl::Time now) {
  if (record.view.in_flight) {
    if (record.leaving.ok()) record.leaving = reason;
    if (invariants_ != nullptr) invariants_->ToldToLeave(record.job->id());
    return;
  }
  End(record, absl::IsDeadlineExceeded(reason) ? JobStatus::kExpired : JobStatus::kCancelled, reason, now);
}

void StepScheduler::BeginTick(LiveJob& record, const StepPlan& plan, absl::Time now) {
  Job& job = *record.job;
  record.view.in_flight = true;
  record.view.last_plan = plan.id;
  residents_.Enter(record.view);
  if (job.status() == JobStatus::kParked) Move(job, JobStatus::kRunning);
  if (job.status() != JobStatus::kWaiting) return;
  --waiting_;
  Move(job, StatusIn(plan.phase()));
  job.set_started(now);
  const absl::Time arrival = job.spec().arrival;
  job.statistics().queued = now - (arrival == absl::InfinitePast() ? record.submitted : arrival);
}

void StepScheduler::EndTick(const Flight& flight, size_t member, const DeviceCost& share, StepResult result,
                            absl::Time now) {
  LiveJob& record = *flight.records[member];
  const int rows = flight.rows[member];
  Job& job = *record.job;
  metrics_.ChargeTenant(job.request().tenant, share);
  record.view.in_flight = false;
  lanes_.Charge(record.view, absl::ToDoubleSeconds(now - flight.planned) * rows / flight.plan.rows);
  job.CountTick(flight.plan.phase(), flight.plan.rows, now - flight.planned, share);
  if (!record.leaving.ok()) {
    const absl::Status reason = record.leaving;
    return Leave(record, reason, now);
  }
  if (!result.status.ok()) return End(record, JobStatus::kFailed, std::move(result.status), now);
  if (job.on_last_tick()) return EndLast(record, result, now);
  const int position = job.position();
  job.Advance(rows);
  const bool evaluated = job.position() > position;
  if (evaluated) ++job.statistics().evaluations;
  const JobStatus next = StatusIn(job.phase());
  if (job.status() != next) Move(job, next);
  index_.Refresh(record.view, newest_plan_);
  lanes_.Refresh(record.view);
  if (evaluated) Report(record, result, now);
}

void StepScheduler::Report(LiveJob& record, StepResult& result, absl::Time now) {
  record.last_told = now;
  record.reporter.Progress(*record.job, /*queue_position=*/0);
  if (result.preview != nullptr) record.reporter.Preview(record.job->finished_steps(), std::move(result.preview));
  if (result.saved != nullptr) record.reporter.Saved(*record.job, std::move(result.saved), /*handed_out=*/false);
}

void StepScheduler::EndLast(LiveJob& record, StepResult& result, absl::Time now) {
  if (result.image == nullptr) {
    return End(record, JobStatus::kFailed, EngineError("the executor decoded no picture"), now);
  }
  record.reporter.Image(std::move(result.image));
  End(record, JobStatus::kSucceeded, absl::OkStatus(), now);
}

void StepScheduler::End(LiveJob& record, JobStatus outcome, absl::Status status, absl::Time now) {
  Job& job = *record.job;
  const JobId id = job.id();
  if (job.status() == JobStatus::kWaiting) --waiting_;
  Move(job, outcome);
  promises_.Ended(record.view, outcome, now <= job.spec().deadline);
  index_.Erase(record.view);
  lanes_.Erase(record.view);
  residents_.Leave(record.view);
  std::erase(group_, &record.view);
  timetable_.Leave(job);
  const std::unique_ptr<LiveJob> last = std::move(records_.extract(id).mapped());
  if (invariants_ != nullptr) invariants_->Ended(id);
  // Tensors first: who hears that the job has ended may count on its memory.
  std::unique_ptr<JobState> state = job.TakeState();
  if (options_.release && state != nullptr) options_.release(std::move(state));
  state = nullptr;
  const absl::Time arrival = job.spec().arrival == absl::InfinitePast() ? last->submitted : job.spec().arrival;
  metrics_.CountJob(job.request().model->id, JobStatusName(outcome), now - arrival);
  last->reporter.Finish(std::move(status), job.statistics());
}

void StepScheduler::AfterCall() {
  if (options_.checks != InvariantChecks::kEveryCall) return;
  const absl::Status status = CheckInvariants();
  if (!status.ok()) Die(status.ToString());
}

}  // namespace stepcast

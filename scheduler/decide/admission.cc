#include "scheduler/decide/admission.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/status_macros.h"
#include "scheduler/decide/forecast.h"
#include "scheduler/decide/outlook.h"
#include "scheduler/decide/step_scheduler.h"

namespace stepcast {
namespace {

// How much later than forecast a job may be: costs vary from tick to tick. At 1.5 x the capacity of a launch-bound
// device and with ticks that vary by 10 %, jobs that then came late took 1.7 % of all steps with 5 %, 1.2 % with 7 %.
constexpr double kMargin = 0.07;
// Promises must be kept so much earlier than just in time, in parts of what a job takes in full batches, but of the
// time that its client gave no more than the second: others come in between. A sixth of it broke one in sixty.
constexpr double kReserve = 0.6;
constexpr double kMostReserve = 0.1;
constexpr double kProbe = 8.0;  // how far wrong costs may be after a pause
constexpr absl::Duration kSame = absl::Milliseconds(1);

// The jobs of a request as if they were admitted.
class Candidates {
 public:
  Candidates(absl::Span<const JobSpec> request, const StepScheduler& scheduler, absl::Time now)
      : views_(request.size()) {
    int64_t id = std::numeric_limits<int64_t>::max() - static_cast<int64_t>(request.size());
    for (size_t i = 0; i < request.size(); ++i) {
      jobs_.push_back(std::make_unique<Job>(JobId{++id}, request[i]));
      views_[i].job = jobs_.back().get();
      views_[i].rows = jobs_.back()->work().lead().rows;
      scheduler.lanes().Price(views_[i], now);
      pointers_.push_back(&views_[i]);
      work_ += views_[i].work;
    }
  }

  absl::Span<const JobView* const> views() const { return pointers_; }
  double work() const { return work_; }

 private:
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<JobView> views_;
  std::vector<const JobView*> pointers_;
  double work_ = 0.0;
};

// What waits and runs, of everybody or of one tenant.
struct Load {
  int waiting = 0;
  int running = 0;
  double work = 0.0;  // of the waiting ones, seconds
};

Load LoadOf(const StepScheduler& scheduler, const std::string* tenant) {
  Load load;
  for (const JobView* view : scheduler.Snapshot().jobs) {
    if (tenant != nullptr && view->job->request().tenant != *tenant) continue;
    if (view->job->status() != JobStatus::kWaiting) {
      ++load.running;
    } else {
      ++load.waiting;
      load.work += view->work;
    }
  }
  return load;
}

std::vector<Expectation> ForecastOf(const StepScheduler& scheduler, absl::Span<const JobView* const> more,
                                    absl::Time now, bool all) {
  return Forecast(scheduler.policy(), scheduler.Snapshot(), more, scheduler.costs(), now, all);
}

// The `places`-th shortest of `times`; a second when there is none.
absl::Duration Nth(std::vector<absl::Duration> times, int64_t places) {
  if (times.empty()) return absl::Seconds(1);
  const size_t nth = std::min(times.size() - 1, static_cast<size_t>(std::max<int64_t>(0, places - 1)));
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(nth), times.end());
  return times[nth];
}

// After how long `places` more jobs of the queue (of one tenant if given) will have started.
absl::Duration UntilStarted(const StepScheduler& scheduler, const std::string* tenant, int64_t places, absl::Time now) {
  std::vector<absl::Duration> starts;
  for (const Expectation& job : ForecastOf(scheduler, {}, now, /*all=*/true)) {
    if (job.view->job->status() != JobStatus::kWaiting) continue;
    if (tenant == nullptr || job.view->job->request().tenant == *tenant) starts.push_back(job.start - now);
  }
  return Nth(std::move(starts), places);
}

// After how long `places` more jobs of a tenant will have ended.
absl::Duration UntilEnded(const StepScheduler& scheduler, const std::string& tenant, int64_t places, absl::Time now) {
  std::vector<absl::Duration> ends;
  for (const Expectation& job : ForecastOf(scheduler, {}, now, /*all=*/true)) {
    if (job.view->job->request().tenant == tenant) ends.push_back(job.finish - now);
  }
  return Nth(std::move(ends), places);
}

absl::Status Refuse(const std::string& what, const char* reason, absl::Duration delay) {
  // Never at once: whoever comes back in the same moment meets the same queue.
  return WithRetryDelay(WithReason(absl::ResourceExhaustedError(what), reason),
                        std::max(delay, absl::Milliseconds(100)));
}

bool Exceeds(double work, absl::Duration limit) { return work > absl::ToDoubleSeconds(limit); }

absl::Status CheckQueue(const AdmissionLimits& limits, const Candidates& jobs, const StepScheduler& scheduler,
                        absl::Time now) {
  const auto images = static_cast<int>(std::min<size_t>(jobs.views().size(), 1 << 20));
  const Load load = LoadOf(scheduler, nullptr);
  const int over = load.waiting + images - limits.max_queued_jobs;
  if (over > 0) {
    return Refuse(absl::StrCat("the queue is full: ", load.waiting, " of at most ", limits.max_queued_jobs,
                               " jobs wait and the request brings ", images),
                  "QUEUE_FULL", UntilStarted(scheduler, nullptr, over, now));
  }
  if (Exceeds(load.work + jobs.work(), limits.max_queued_work)) {
    return Refuse(
        absl::StrCat("the queue is full: ", absl::FormatDuration(absl::Seconds(load.work)),
                     " of work wait and the request brings ", absl::FormatDuration(absl::Seconds(jobs.work())),
                     "; allowed: ", absl::FormatDuration(limits.max_queued_work)),
        "QUEUE_FULL", absl::Seconds(load.work + jobs.work()) - limits.max_queued_work);
  }
  return absl::OkStatus();
}

absl::Status CheckTenant(const TenantLimits& limits, const Candidates& jobs, const StepScheduler& scheduler,
                         absl::Time now) {
  const TenantLimits none;
  if (limits.max_queued == none.max_queued && limits.max_jobs == none.max_jobs &&
      limits.max_queued_work == none.max_queued_work) {
    return absl::OkStatus();
  }
  const std::string& tenant = jobs.views().front()->job->request().tenant;
  const Load load = LoadOf(scheduler, &tenant);
  const int64_t images = static_cast<int64_t>(jobs.views().size());
  const int64_t queued = load.waiting + images - limits.max_queued;
  if (queued > 0) {
    return Refuse(absl::StrCat("the tenant has ", load.waiting, " of at most ", limits.max_queued,
                               " jobs waiting, and the request brings ", images),
                  "TENANT_LIMIT", UntilStarted(scheduler, &tenant, queued, now));
  }
  const int64_t live = load.waiting + load.running + images - limits.max_jobs;
  if (live > 0) {
    return Refuse(absl::StrCat("the tenant has ", load.waiting + load.running, " of at most ", limits.max_jobs,
                               " jobs waiting or running, and the request brings ", images),
                  "TENANT_LIMIT", UntilEnded(scheduler, tenant, live, now));
  }
  if (Exceeds(load.work + jobs.work(), limits.max_queued_work)) {
    return Refuse(
        absl::StrCat("the tenant has ", absl::FormatDuration(absl::Seconds(load.work)),
                     " of work waiting and the request brings ", absl::FormatDuration(absl::Seconds(jobs.work())),
                     "; allowed: ", absl::FormatDuration(limits.max_queued_work)),
        "TENANT_LIMIT", absl::Seconds(load.work + jobs.work()) - limits.max_queued_work);
  }
  return absl::OkStatus();
}

absl::Status Unreachable(absl::string_view what, absl::Duration late) {
  return Refuse(absl::StrCat("the deadline cannot be met: ", what), "DEADLINE_UNREACHABLE", late);
}

absl::string_view InMilliseconds(absl::Duration duration, std::string& text) {
  text = absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(1)));
  return text;
}

absl::Status CheckDeadline(const Expectation& job, absl::Time now) {
  const absl::Time deadline = job.view->job->spec().deadline;
  const absl::Duration needed = (job.finish - now) * (1.0 + kMargin);
  if (now + needed <= deadline) return absl::OkStatus();
  std::string ready, due;
  return Unreachable(absl::StrCat("the picture would be ready in ", InMilliseconds(job.finish - now, ready),
                                  ", the deadline is in ", InMilliseconds(deadline - now, due)),
                     now + needed - deadline);
}

// What the request may count on until its deadline; nothing is kept for others where arrival decides.
Outlook OutlookFor(const Candidates& jobs, const StepScheduler& scheduler, absl::Time now) {
  if (!scheduler.policy().honours_shares()) return {.speed = 1.0, .within_share = false};
  const Job& job = *jobs.views().front()->job;
  const LaneIndex& lanes = scheduler.lanes();
  const auto tenant = lanes.tenants().find(job.request().tenant);
  const Newcomer newcomer{.priority = job.request().priority,
                          .tenant = tenant == lanes.tenants().end() ? nullptr : &tenant->second,
                          .share = &lanes.shares().Of(job.request().tenant),
                          .work = jobs.work(),
                          .caution = scheduler.promises().caution(job.request().priority)};
  return OutlookOf(newcomer, lanes.shares(), lanes.lanes(), ToSeconds(now),
                   absl::ToDoubleSeconds(job.spec().deadline - now));
}

// Whether the promise to `view` counts when somebody of `share` and class `priority` wants to come in. Less urgent
// classes and, while the newcomer's share brings no more than its part, other shares were promised what that leaves.
bool Binds(const JobView& view, Priority priority, const ShareView& share, const Outlook& outlook) {
  if (view.lane->priority > priority) return false;
  if (view.lane->priority < priority) return true;
  return view.lane->tenant->share == &share || !outlook.within_share;
}

// There must be room for everybody's promises, the new ones included, in what the device has left beside the work that
// is expected of others.
absl::Status CheckRoom(const Candidates& jobs, const StepScheduler& scheduler, const Outlook& outlook, absl::Time now) {
  if (!scheduler.policy().honours_shares()) return absl::OkStatus();
  const GenerationRequest& request = jobs.views().front()->job->request();
  const ShareView& share = scheduler.lanes().shares().Of(request.tenant);
  std::vector<const JobView*> promises(jobs.views().begin(), jobs.views().end());
  for (const LaneView* lane : scheduler.lanes().lanes()) {
    for (const JobView* view : lane->by_due) {
      if (view->firm && Binds(*view, request.priority, share, outlook)) promises.push_back(view);
    }
  }
  std::sort(promises.begin(), promises.end(), DueBefore);
  const bool surprises = outlook.speed < 1.0;  // others may bring work that goes first
  double needed = 0.0;
  for (const JobView* view : promises) {
    needed += view->work;
    if (view->due < jobs.views().front()->due) continue;  // nothing changes for it
    const double reserve = surprises ? std::min(kReserve * view->crowded, kMostReserve * view->given) : 0.0;
    const double late = needed + reserve - outlook.speed * (view->due - ToSeconds(now));
    if (late > 0.0) return Unreachable("too much was promised and is expected of others", absl::Seconds(late));
  }
  return absl::OkStatus();
}

// Nobody who was let in with a deadline may miss it for the sake of `jobs`.
absl::Status CheckOthers(absl::Span<const Expectation> played, const Candidates& jobs, const StepScheduler& scheduler,
                         const Outlook& outlook, absl::Time now) {
  const GenerationRequest& request = jobs.views().front()->job->request();
  const ShareView& share = scheduler.lanes().shares().Of(request.tenant);
  absl::flat_hash_map<const JobView*, absl::Time> late;
  for (const Expectation& job : played) {
    const absl::Time worst = now + (job.finish - now) * (1.0 + kMargin);
    if (job.view->lane != nullptr && job.view->firm && ToSeconds(worst) > job.view->due &&
        Binds(*job.view, request.priority, share, outlook)) {
      late.emplace(job.view, job.finish);
    }
  }
  if (late.empty()) return absl::OkStatus();
  for (const Expectation& before : ForecastOf(scheduler, {}, now, /*all=*/true)) {
    const auto after = late.find(before.view);
    if (after == late.end() || ToSeconds(before.finish) > before.view->due) continue;
    if (after->second - before.finish < kSame) continue;  // it is close as it is
    return Unreachable("others who were promised theirs would miss it",
                       std::max(after->second - before.finish, absl::Seconds(jobs.work())));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AdmissionVerdict> CheckAdmission(const AdmissionLimits& limits, absl::Span<const JobSpec> request,
                                                const StepScheduler& scheduler, absl::Time now) {
  if (request.empty()) return absl::InvalidArgumentError("a request needs at least one image");
  for (const JobSpec& spec : request) {
    if (spec.deadline > now) continue;
    return WithReason(
        absl::DeadlineExceededError(absl::StrCat("the deadline passed ", absl::FormatDuration(now - spec.deadline),
                                                 " before the request could be admitted")),
        "DEADLINE");
  }
  const Candidates jobs(request, scheduler, now);
  STEPCAST_RETURN_IF_ERROR(CheckQueue(limits, jobs, scheduler, now));
  STEPCAST_RETURN_IF_ERROR(CheckTenant(limits.Of(request.front().request->tenant), jobs, scheduler, now));
  AdmissionVerdict verdict{.queue_position = scheduler.waiting(), .wait = absl::InfiniteDuration()};
  // Whoever has no deadline waits until it is his turn: promises come first.
  const bool firm = request.front().deadline != absl::InfiniteFuture();
  const bool promised = firm && scheduler.lanes().firm() > 0;
  const std::vector<Expectation> played = ForecastOf(scheduler, jobs.views(), now, /*all=*/promised);
  const bool probes = scheduler.Rested(now) && jobs.views().size() == 1;
  for (const Expectation& job : played) {
    if (job.view->lane != nullptr) continue;  // one of those that are here already
    const absl::Duration allowed = job.view->job->spec().deadline - now;
    if (!probes || job.finish - now > kProbe * allowed) STEPCAST_RETURN_IF_ERROR(CheckDeadline(job, now));
    // Forecasts are doubles of seconds since the epoch: "now" may come back a fraction of a microsecond earlier.
    verdict.wait = std::min(verdict.wait, std::max(job.start - now, absl::ZeroDuration()));
    verdict.total = std::max(verdict.total, job.finish - now);
  }
  if (firm && !probes) {
    const Outlook outlook = OutlookFor(jobs, scheduler, now);
    STEPCAST_RETURN_IF_ERROR(CheckRoom(jobs, scheduler, outlook, now));
    if (promised) STEPCAST_RETURN_IF_ERROR(CheckOthers(played, jobs, scheduler, outlook, now));
  }
  if (jobs.work() <= 0.0) verdict.wait = verdict.total = absl::ZeroDuration();  // nothing is known of what this costs
  return verdict;
}

void NoteRefusal(absl::Span<const JobSpec> request, const absl::Status& refusal, StepScheduler& scheduler,
                 absl::Time now) {
  if (ErrorReason(refusal) != "DEADLINE_UNREACHABLE") return;
  const JobSpec& spec = request.front();
  scheduler.promises().Refused(spec.request->priority, absl::ToDoubleSeconds(scheduler.costs().Isolated(spec)),
                               ToSeconds(spec.deadline), ToSeconds(now));
}

}  // namespace stepcast

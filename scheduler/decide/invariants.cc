#include "scheduler/decide/invariants.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"

namespace stepcast {
namespace {

// Encodes aside.
int TicksOf(const WorkList& work) {
  int ticks = 0;
  for (const WorkItem& item : work.items()) ticks += IsEncode(item.key.phase) ? 0 : item.count;
  return ticks;
}

}  // namespace

void SchedulerInvariants::Admitted(const Job& job) {
  ++admitted_;
  const Books books{.job = &job, .ticks = job.ticks(), .to_encode = job.to_encode()};
  if (!live_.emplace(job.id(), books).second) Violated(absl::StrCat("job ", job.id().value, " was admitted twice"));
}

void SchedulerInvariants::EncodesOnly(const Job& job) {
  const auto entry = live_.find(job.id());
  if (entry == live_.end()) return;
  if (entry->second.in_plan != 0) Violated(absl::StrCat("job ", job.id().value, " skips an encode that is in flight"));
  entry->second.to_encode = job.to_encode();
}

void SchedulerInvariants::ToldToLeave(JobId job) {
  const auto entry = live_.find(job);
  if (entry != live_.end()) entry->second.leaving = true;
}

void SchedulerInvariants::Planned(const StepPlan& plan, const ExecutorLimits& limits) {
  const std::string text = plan.ToString();
  if (plan.id <= newest_plan_) Violated(absl::StrCat(text, ": plan ids must grow, the last was ", newest_plan_));
  newest_plan_ = plan.id;
  for (const JobId id : plan.evict) {
    const auto entry = live_.find(id);
    const bool parkable =
        entry != live_.end() && entry->second.in_plan == 0 && entry->second.job->status() == JobStatus::kRunning;
    if (!parkable) {
      Violated(absl::StrCat(text, ": job ", id.value, " cannot be parked"));
    } else {
      entry->second.rows_done = 0;
    }
    if (std::find(plan.jobs.begin(), plan.jobs.end(), id) != plan.jobs.end()) {
      Violated(absl::StrCat(text, ": job ", id.value, " is parked and planned"));
    }
  }
  int rows = 0;
  for (const JobId id : plan.jobs) {
    const auto entry = live_.find(id);
    if (entry == live_.end()) {
      Violated(absl::StrCat(text, ": job ", id.value, " is not live"));
      continue;
    }
    Books& books = entry->second;
    if (books.in_plan != 0) Violated(absl::StrCat(text, ": job ", id.value, " is already in plan ", books.in_plan));
    if (books.leaving) Violated(absl::StrCat(text, ": job ", id.value, " was told to leave"));
    if (books.job->key() != plan.key) {
      Violated(absl::StrCat(text, ": job ", id.value, " has key ", books.job->key().ToString()));
    }
    books.in_plan = plan.id;
    books.rows = books.job->next().rows;
    rows += RowsIn(plan, books);
  }
  if (rows != plan.rows) Violated(absl::StrCat(text, ": its jobs have ", rows, " rows"));
  const int cap = limits.RowCap(plan.phase());
  if (rows > cap) Violated(absl::StrCat(text, ": more rows than the cap of ", cap));
}

int SchedulerInvariants::RowsIn(const StepPlan& plan, const Books& books) {
  const int whole = books.job->next().rows;
  const RowPart* part = plan.PartOf(books.job->id());
  const std::string who = absl::StrCat(plan.ToString(), ": job ", books.job->id().value);
  if (part == nullptr) {
    if (books.rows_done > 0) Violated(absl::StrCat(who, " does rows again"));
    return whole;
  }
  if (plan.phase() != Phase::kDenoise || part->rows < 1 || part->first_row != books.rows_done ||
      part->first_row + part->rows > whole) {
    Violated(absl::StrCat(who, " has a part that does not follow its last"));
  }
  // Memory may have taught a smaller cap than the limits have, but never one below a pair.
  if (whole <= 2) Violated(absl::StrCat(who, " is split, and every tick holds it"));
  return part->rows;
}

void SchedulerInvariants::Completed(const StepPlan& plan) {
  for (const JobId id : plan.jobs) {
    const auto entry = live_.find(id);
    if (entry == live_.end()) continue;  // it left, as it may
    Books& books = entry->second;
    if (books.leaving) Violated(absl::StrCat("job ", id.value, " was told to leave and outlived plan ", plan.id));
    if (books.in_plan != plan.id) {
      Violated(absl::StrCat("plan ", plan.id, " completed for job ", id.value, ", which is in plan ", books.in_plan));
    }
    const RowPart* part = plan.PartOf(id);
    if (part != nullptr && part->first_row + part->rows < books.rows) {
      books.rows_done = part->first_row + part->rows;
    } else if (!IsEncode(plan.phase())) {
      ++books.ticks;
      books.rows_done = 0;
    } else if (!books.to_encode.empty()) {
      books.to_encode.erase(books.to_encode.begin());
    }
    if (books.ticks == TicksOf(books.job->work())) {
      Violated(absl::StrCat("job ", id.value, " has done all its work and is still live"));
    }
    books.in_plan = 0;
  }
}

void SchedulerInvariants::Ended(JobId job) {
  ++ended_;
  if (live_.erase(job) == 0) Violated(absl::StrCat("job ", job.value, " ended, but was not live"));
}

absl::Status SchedulerInvariants::Check(const SchedulerSnapshot& snapshot) {
  if (snapshot.jobs.size() != live_.size()) {
    Violated(absl::StrCat("the snapshot shows ", snapshot.jobs.size(), " jobs, ", live_.size(), " are live"));
  }
  if (admitted_ != ended_ + static_cast<int64_t>(live_.size())) {
    Violated(absl::StrCat(admitted_, " admitted, ", ended_, " ended, ", live_.size(), " live"));
  }
  JobId last{-1};
  for (const JobView* view : snapshot.jobs) {
    if (view->job->id() <= last) Violated(absl::StrCat("job ", view->job->id().value, " is out of order"));
    last = view->job->id();
    CheckJob(*view);
  }
  for (const JobView* view : snapshot.group) CheckJob(*view);
  CheckKeys(snapshot);
  CheckLanes(snapshot);
  CheckResidents(snapshot);
  return violation_;
}

void SchedulerInvariants::CheckJob(const JobView& view) {
  const Job& job = *view.job;
  const std::string who = absl::StrCat("job ", job.id().value);
  const auto entry = live_.find(job.id());
  if (entry == live_.end()) return Violated(absl::StrCat(who, " is shown, but not live"));
  const Books& books = entry->second;
  if (books.job != view.job) Violated(absl::StrCat(who, " is not the job that was admitted"));
  if (IsTerminal(job.status())) Violated(absl::StrCat(who, " is live and ", ToAbsl(JobStatusName(job.status()))));
  if (job.ticks() != books.ticks) Violated(absl::StrCat(who, " is at tick ", job.ticks(), ", expected ", books.ticks));
  if (job.rows_done() != books.rows_done) {
    Violated(absl::StrCat(who, " has done ", job.rows_done(), " rows, expected ", books.rows_done));
  }
  if (job.to_encode() != books.to_encode) Violated(absl::StrCat(who, " was encoded out of turn"));
  if (view.in_flight != (books.in_plan != 0)) Violated(absl::StrCat(who, " has a wrong in-flight mark"));
  if (view.rows != job.rows()) Violated(absl::StrCat(who, " is shown with ", view.rows, " rows"));
  if (view.last_plan > newest_plan_) Violated(absl::StrCat(who, " is shown in a plan that was never made"));
}

void SchedulerInvariants::CheckKeys(const SchedulerSnapshot& snapshot) {
  size_t queued = 0;
  const KeyView* last = nullptr;
  for (const KeyView* queue : snapshot.keys) {
    const std::string text = queue->key.ToString();
    if (queue->jobs.empty()) Violated(absl::StrCat(text, " is shown without jobs"));
    if (last != nullptr && !(last->key < queue->key)) Violated(absl::StrCat(text, " is out of order"));
    last = queue;
    queued += queue->jobs.size();
    JobId previous{-1};
    for (const JobView* view : queue->jobs) {
      const int64_t id = view->job->id().value;
      if (view->job->id() <= previous) Violated(absl::StrCat("job ", id, " is out of order in ", text));
      previous = view->job->id();
      if (view->queue != queue || view->job->key() != queue->key)
        Violated(absl::StrCat("job ", id, " is not of ", text));
    }
  }
  if (queued != snapshot.jobs.size()) Violated(absl::StrCat(queued, " jobs in keys, ", snapshot.jobs.size(), " live"));
}

void SchedulerInvariants::CheckLanes(const SchedulerSnapshot& snapshot) {
  size_t in_lanes = 0;
  for (const LaneView* lane : snapshot.lanes) {
    in_lanes += lane->by_due.size();
    if (lane->by_due.size() != lane->by_work.size()) Violated("a lane has jobs in one of its orders only");
    double due = -1e300, work = -1e300;
    for (const JobView* view : lane->by_due) {
      if (view->lane != lane || view->due < due) Violated("a lane is not in order of deadlines");
      due = view->due;
    }
    for (const JobView* view : lane->by_work) {
      if (view->lane != lane || view->work < work) Violated("a lane is not in order of work");
      work = view->work;
    }
  }
  if (!snapshot.lanes.empty() && in_lanes != snapshot.jobs.size()) {
    Violated(absl::StrCat(in_lanes, " jobs in lanes, ", snapshot.jobs.size(), " live"));
  }
}

void SchedulerInvariants::CheckResidents(const SchedulerSnapshot& snapshot) {
  for (const JobView* view : snapshot.residents) {
    if (!view->resident || !live_.contains(view->job->id())) Violated("a job is shown as resident and is not");
    if (view->job->status() == JobStatus::kParked) Violated("a parked job is on the device");
  }
}

void SchedulerInvariants::Violated(std::string what) {
  if (violation_.ok()) violation_ = absl::InternalError(std::move(what));
}

}  // namespace stepcast

#include "scheduler/decide/eviction.h"

#include <algorithm>
#include <tuple>

namespace stepcast {
namespace {

bool Older(const JobView* a, const JobView* b) { return a->job->id() < b->job->id(); }

}  // namespace

void ResidentSet::Enter(JobView& view) {
  if (view.resident) return;
  view.resident = true;
  views_.insert(std::lower_bound(views_.begin(), views_.end(), &view, Older), &view);
}

void ResidentSet::Leave(JobView& view) {
  if (!view.resident) return;
  view.resident = false;
  views_.erase(std::lower_bound(views_.begin(), views_.end(), &view, Older));
}

std::vector<JobId> ChooseEvictions(const SchedulerSnapshot& snapshot, const StepPlan& plan) {
  const auto allowed = static_cast<size_t>(snapshot.limits.max_resident_jobs);
  if (snapshot.residents.size() + plan.jobs.size() <= allowed) return {};
  std::vector<JobId> planned(plan.jobs);
  std::sort(planned.begin(), planned.end());
  std::vector<const JobView*> idle;
  size_t staying = 0;  // of the plan's jobs those that are there already
  for (const JobView* view : snapshot.residents) {
    if (std::binary_search(planned.begin(), planned.end(), view->job->id())) {
      ++staying;
    } else if (!view->in_flight && view->job->status() == JobStatus::kRunning) {
      idle.push_back(view);
    }
  }
  const size_t wanted = snapshot.residents.size() + plan.jobs.size() - staying;
  const size_t excess = wanted > allowed ? std::min(wanted - allowed, idle.size()) : 0;
  const auto rank = [](const JobView* view) {
    return std::tuple(-static_cast<int>(view->lane->priority), -view->due, -view->job->id().value);
  };
  std::partial_sort(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(excess), idle.end(),
                    [&](const JobView* a, const JobView* b) { return rank(a) < rank(b); });
  std::vector<JobId> evict;
  for (size_t i = 0; i < excess; ++i) evict.push_back(idle[i]->job->id());
  return evict;
}

}  // namespace stepcast

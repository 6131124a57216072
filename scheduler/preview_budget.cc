#include "scheduler/preview_budget.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "scheduler/lane_index.h"

namespace stepcast {
namespace {

constexpr double kShare = 0.1;  // of the tick

bool Behind(const JobView& view, double now) { return view.firm && now + view.alone > view.target; }

// How many previews fit the tick of `plan`.
size_t Affordable(absl::Span<JobView* const> members, const CostModel& costs, double now, const StepPlan& plan) {
  BatchKey key = plan.key;
  key.phase = Phase::kPreview;
  const double each = costs.Seconds(key, 1);
  if (each <= 0.0) return members.size();
  if (std::any_of(members.begin(), members.end(), [&](const JobView* view) { return Behind(*view, now); })) return 0;
  return static_cast<size_t>(kShare * absl::ToDoubleSeconds(plan.predicted) / each);
}

}  // namespace

void ChoosePreviews(absl::Span<JobView* const> members, const CostModel& costs, absl::Time now, StepPlan& plan) {
  std::vector<JobView*> due;
  for (JobView* view : members) {
    // After the last evaluation the picture itself follows.
    view->preview_owed = view->job->left().evaluations() > 1 && (view->preview_owed || view->job->preview_due());
    if (view->preview_owed) due.push_back(view);
  }
  if (due.empty()) return;
  const size_t most = std::min(due.size(), Affordable(members, costs, ToSeconds(now), plan));
  const auto rank = [](const JobView* view) { return std::tuple(view->last_preview, view->job->id()); };
  std::sort(due.begin(), due.end(), [&](const JobView* a, const JobView* b) { return rank(a) < rank(b); });
  due.resize(most);
  for (JobView* view : due) {
    view->preview_owed = false;
    view->last_preview = plan.id;
    plan.previews.push_back(view->job->id());
  }
  std::sort(plan.previews.begin(), plan.previews.end());
}

}  // namespace stepcast

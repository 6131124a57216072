#include "scheduler/decide/preview_budget.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "scheduler/decide/lane_index.h"

namespace stepcast {
namespace {

constexpr double kShare = 0.1;      // of the ticks
constexpr double kRounding = 1e-9;  // what adding up tenths may lose of one preview

bool Behind(const JobView& view, double now) { return view.firm && now + view.alone > view.target; }

// What one preview is taken to cost. Real ticks do not tell it apart from their denoising: where no profile has
// measured it, one by a network costs as much as a decode, which is more.
double PriceOfOne(BatchKey key, const ModelInfo& model, const CostModel& costs) {
  key.phase = Phase::kPreview;
  const double known = costs.Seconds(key, 1);
  if (known > 0.0 || model.decoding.preview != PreviewKind::kNetwork) return known;
  key.phase = Phase::kDecode;
  return costs.Seconds(key, 1);
}

// Those who are shown, now or as soon as there is room.
std::vector<JobView*> Owed(absl::Span<JobView* const> members) {
  std::vector<JobView*> owed;
  for (JobView* view : members) {
    // After the last evaluation the picture itself follows.
    view->preview_owed = view->job->evaluations_left() > 1 && (view->preview_owed || view->job->preview_due());
    if (view->preview_owed) owed.push_back(view);
  }
  return owed;
}

}  // namespace

absl::Duration PreviewBudget::Choose(absl::Span<JobView* const> members, const CostModel& costs, absl::Time now,
                                     StepPlan& plan) {
  if (members.empty()) return absl::ZeroDuration();
  const double each = PriceOfOne(plan.key, *members.front()->job->request().model, costs);
  const double share = kShare * absl::ToDoubleSeconds(plan.predicted);
  saved_ = std::min(saved_ + share, std::max(share, each));
  std::vector<JobView*> shown = Owed(members);
  if (shown.empty()) return absl::ZeroDuration();
  if (each > 0.0) {
    const double at = ToSeconds(now);
    if (std::any_of(members.begin(), members.end(), [at](const JobView* view) { return Behind(*view, at); })) return {};
    const auto rank = [](const JobView* view) { return std::tuple(view->last_preview, view->job->id()); };
    std::sort(shown.begin(), shown.end(), [&](const JobView* a, const JobView* b) { return rank(a) < rank(b); });
    shown.resize(std::min(shown.size(), static_cast<size_t>(saved_ / each + kRounding)));
    saved_ -= each * static_cast<double>(shown.size());
  }
  for (JobView* view : shown) {
    view->preview_owed = false;
    view->last_preview = plan.id;
    plan.previews.push_back(view->job->id());
  }
  std::sort(plan.previews.begin(), plan.previews.end());
  if (shown.empty()) return absl::ZeroDuration();
  BatchKey key = plan.key;
  key.phase = Phase::kPreview;
  return costs.Predict(key, static_cast<int>(shown.size()));
}

}  // namespace stepcast

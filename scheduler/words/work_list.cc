#include "scheduler/words/work_list.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace stepcast {
namespace {

using sampling::Evaluation;

// Evaluations from `first` on that one item can hold.
WorkItem RunFrom(const std::vector<Evaluation>& evaluations, size_t first) {
  const Evaluation& head = evaluations[first];
  const auto alike = [&](size_t i) { return i < evaluations.size() && evaluations[i].rows() == head.rows(); };
  WorkItem item{.rows = head.rows(), .step = head.step};
  size_t next = first + 1;
  while (alike(next) && evaluations[next].step == head.step) ++next;
  item.per_step = static_cast<int>(next - first);
  while (alike(next) && evaluations[next].step == item.StepOf(static_cast<int>(next - first))) ++next;
  item.count = static_cast<int>(next - first);
  return item;
}

}  // namespace

WorkList::WorkList(std::vector<WorkItem> items, int steps) : items_(std::move(items)), steps_(steps) {
  // A decode first, as what is left to do at the end.
  std::vector<int> order(items_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  const auto item = [this](int i) -> const WorkItem& { return items_[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return std::tuple(item(b).key.phase, item(a).key, item(a).rows) <
           std::tuple(item(a).key.phase, item(b).key, item(b).rows);
  });
  line_of_.resize(items_.size());
  for (const int i : order) {
    const WorkItem& each = item(i);
    if (lines_.empty() || lines_.back().key != each.key || lines_.back().rows != each.rows) {
      lines_.push_back({.key = each.key, .rows = each.rows});
    }
    lines_.back().count += each.count;
    line_of_[static_cast<size_t>(i)] = static_cast<int>(lines_.size()) - 1;
  }
  const auto denoises = [](const WorkItem& each) { return each.key.phase == Phase::kDenoise; };
  for (const WorkItem& each : items_) {
    if (!denoises(each)) continue;
    evaluations_ += each.count;
    most_rows_ = std::max(most_rows_, each.rows);
  }
  const auto lead = std::find_if(items_.begin(), items_.end(), denoises);
  lead_ = lead == items_.end() ? 0 : static_cast<int>(lead - items_.begin());
}

SharedWorkList CompileWork(const GenerationRequest& request, const sampling::SamplingProgram& program) {
  BatchKey key{.phase = Phase::kEncode, .model = request.model->id};
  std::vector<WorkItem> items = {{.key = key}};
  key.latent_height = request.latent_height();
  key.latent_width = request.latent_width();
  key.phase = Phase::kDenoise;
  for (size_t i = 0; i < program.evaluations.size();) {
    items.push_back(RunFrom(program.evaluations, i));
    items.back().key = key;
    i += static_cast<size_t>(items.back().count);
  }
  key.phase = Phase::kDecode;
  items.push_back({.key = key});
  return std::make_shared<const WorkList>(std::move(items), program.steps);
}

}  // namespace stepcast

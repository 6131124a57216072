#include "scheduler/decide/policies/on_time_order.h"

#include <algorithm>

namespace stepcast {

OnTimeOrder::OnTimeOrder(absl::Span<const JobView* const> by_due, absl::Span<const JobView* const> by_work,
                         const OnTimeOptions& options)
    : set_(by_due, options.start, options.pace), by_work_(by_work) {
  for (const JobView* view : by_work_) {
    if (fronts_.size() == static_cast<size_t>(options.fronts)) return;
    if (set_.PutInFront(*view)) fronts_.push_back(view);
  }
}

const JobView* OnTimeOrder::Next() {
  if (next_front_ < fronts_.size()) return fronts_[next_front_++];
  if (const JobView* view = set_.Next()) return view;
  while (next_rest_ < by_work_.size()) {
    const JobView* view = by_work_[next_rest_++];
    if (set_.Holds(*view)) continue;
    if (std::find(fronts_.begin(), fronts_.end(), view) == fronts_.end()) return view;
  }
  return nullptr;
}

}  // namespace stepcast

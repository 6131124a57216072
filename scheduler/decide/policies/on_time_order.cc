#include "scheduler/decide/policies/on_time_order.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace stepcast {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

bool DueBefore(const JobView& a, const JobView& b) {
  return a.due != b.due ? a.due < b.due : a.job->id() < b.job->id();
}

}  // namespace

OnTimeOrder::OnTimeOrder(absl::Span<const JobView* const> by_due, absl::Span<const JobView* const> by_work,
                         const OnTimeOptions& options)
    : by_work_(by_work) {
  ChooseOnTime(by_due, options);
  ChooseFronts(options);
}

void OnTimeOrder::ChooseOnTime(absl::Span<const JobView* const> by_due, const OnTimeOptions& options) {
  // Whose deadline has passed is late whatever we do.
  const auto first = std::partition_point(by_due.begin(), by_due.end(),
                                          [&](const JobView* view) { return view->due < options.start; });
  std::vector<std::pair<double, size_t>> longest;  // a heap of (work, seat)
  double sum = 0.0;
  const double each = 1.0 / options.share;
  seats_.reserve(static_cast<size_t>(by_due.end() - first));
  for (auto next = first; next != by_due.end(); ++next) {
    const JobView& view = **next;
    if (options.start + view.alone > view.due) continue;
    longest.emplace_back(view.work, seats_.size());
    std::push_heap(longest.begin(), longest.end());
    seats_.push_back({.view = &view, .slack = 0.0, .least = 0.0, .in_front = false});
    sum += view.work * each;
    if (options.start + sum <= view.due) continue;
    std::pop_heap(longest.begin(), longest.end());
    sum -= longest.back().first * each;
    seats_[longest.back().second].view = nullptr;
    longest.pop_back();
  }
  std::erase_if(seats_, [](const Seat& seat) { return seat.view == nullptr; });
  sum = 0.0;
  double least = kNever;
  for (Seat& seat : seats_) {
    sum += seat.view->work * each;
    seat.slack = seat.view->due - options.start - sum;
    seat.least = least = std::min(least, seat.slack);
  }
}

void OnTimeOrder::ChooseFronts(const OnTimeOptions& options) {
  const auto most = static_cast<size_t>(options.fronts);
  for (const JobView* view : by_work_) {
    if (fronts_.size() == most) return;
    const double work = view->work / options.share;
    const size_t rank = RankOf(*view);
    if (rank > 0 && seats_[rank - 1].least < work) continue;
    fronts_.push_back(view);
    double least = kNever;
    for (size_t i = 0; i < rank; ++i) {
      seats_[i].slack -= work;
      seats_[i].least = least = std::min(least, seats_[i].slack);
    }
    if (!Holds(rank, *view)) continue;
    seats_[rank].in_front = true;
    seats_[rank].slack = kNever;
    for (size_t i = rank; i < seats_.size(); ++i) seats_[i].least = least = std::min(least, seats_[i].slack);
  }
}

// How many of the on-time set have an earlier deadline.
size_t OnTimeOrder::RankOf(const JobView& view) const {
  const auto seat = std::partition_point(seats_.begin(), seats_.end(),
                                         [&](const Seat& other) { return DueBefore(*other.view, view); });
  return static_cast<size_t>(seat - seats_.begin());
}

const JobView* OnTimeOrder::Next() {
  if (next_front_ < fronts_.size()) return fronts_[next_front_++];
  while (next_seat_ < seats_.size()) {
    const Seat& seat = seats_[next_seat_++];
    if (!seat.in_front) return seat.view;
  }
  while (next_rest_ < by_work_.size()) {
    const JobView* view = by_work_[next_rest_++];
    if (Holds(RankOf(*view), *view)) continue;
    if (std::find(fronts_.begin(), fronts_.end(), view) == fronts_.end()) return view;
  }
  return nullptr;
}

}  // namespace stepcast

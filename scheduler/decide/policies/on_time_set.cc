#include "scheduler/decide/policies/on_time_set.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace stepcast {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Who has waited until less than this many times the time of full batches is left can be begun only in short ticks:
// it costs so many times more than those. Without it a device that is overloaded and refuses nobody runs short ticks
// for late beginners all the time, with half as many in time.
constexpr double kWaiting = 1.6;
constexpr double kTooLate = 8.0;

// Whoever goes in front leaves each client's deadline this part of the time in full batches, but of the time that the
// client gave no more than that: ticks are not always full.
constexpr double kReserve = 0.2;
constexpr double kMostReserve = 0.1;

double CostOf(const JobView& view, double start) {
  if (!view.firm || !view.roomy) return view.work;
  const bool waits = view.job->position() == 0;
  const double time = (view.due - start) / (waits ? kWaiting : 1.0);
  if (time >= view.crowded || view.alone <= view.work) return view.work;
  const double short_of = std::min(1.0, (view.crowded - time) / (view.crowded - view.alone));
  return view.work + (waits ? kTooLate : 1.0) * (view.alone - view.work) * short_of;
}

}  // namespace

OnTimeSet::OnTimeSet(absl::Span<const JobView* const> by_due, double start, const FairPace& pace) : start_(start) {
  // Whose deadline has passed is late whatever we do.
  const auto first =
      std::partition_point(by_due.begin(), by_due.end(), [&](const JobView* view) { return view->due < start; });
  seats_.reserve(static_cast<size_t>(by_due.end() - first));
  for (auto next = first; next != by_due.end(); ++next) {
    const JobView& view = **next;
    if (start + view.alone > view.due) continue;
    seats_.push_back({.view = &view, .cost = CostOf(view, start), .room = pace.WorkIn(view.due - start)});
  }
  // A client's deadline does not give way to one of our own.
  GiveUp(/*firm=*/true);
  GiveUp(/*firm=*/false);
  std::erase_if(seats_, [](const Seat& seat) { return seat.view == nullptr; });
  double sum = 0.0;
  for (Seat& seat : seats_) {
    sum += seat.cost;
    seat.slack = seat.room - sum -
                 (seat.view->firm ? std::min(kReserve * seat.view->crowded, kMostReserve * seat.view->given) : 0.0);
  }
  SumUp();
}

void OnTimeSet::SumUp() {
  double least = kNever;
  for (Seat& seat : seats_) seat.least = least = std::min(least, seat.slack);
}

// Whenever a job does not fit behind those before it, the dearest so far of the firm ones, or of the others, leaves.
// Firm ones are chosen as if there were nobody else.
void OnTimeSet::GiveUp(bool firm) {
  std::vector<std::pair<double, size_t>> dearest;  // a heap of (cost, seat)
  double sum = 0.0;
  for (size_t i = 0; i < seats_.size(); ++i) {
    const JobView* view = seats_[i].view;
    if (view == nullptr || (firm && !view->firm)) continue;
    sum += seats_[i].cost;
    if (view->firm == firm) {
      dearest.emplace_back(seats_[i].cost, i);
      std::push_heap(dearest.begin(), dearest.end());
    }
    while (sum > seats_[i].room && !dearest.empty()) {
      std::pop_heap(dearest.begin(), dearest.end());
      sum -= dearest.back().first;
      seats_[dearest.back().second].view = nullptr;
      dearest.pop_back();
    }
  }
}

// How many of the set have an earlier deadline.
size_t OnTimeSet::RankOf(const JobView& view) const {
  const auto seat = std::partition_point(seats_.begin(), seats_.end(),
                                         [&](const Seat& other) { return DueBefore(other.view, &view); });
  return static_cast<size_t>(seat - seats_.begin());
}

bool OnTimeSet::Holds(const JobView& view) const {
  const size_t rank = RankOf(view);
  return rank < seats_.size() && seats_[rank].view == &view;
}

bool OnTimeSet::PutInFront(const JobView& view) {
  if (seats_.empty()) return true;
  const size_t rank = RankOf(view);
  const bool held = rank < seats_.size() && seats_[rank].view == &view;
  const double cost = held ? seats_[rank].cost : CostOf(view, start_);
  if (rank > 0 && seats_[rank - 1].least < cost) return false;
  // Those behind a member reckon with it already. Somebody who is late goes before later wishes of ours, but no
  // client's deadline gives way to it.
  const auto moves = [&](size_t i) { return i < rank || (!held && seats_[i].view->firm); };
  for (size_t i = rank; i < seats_.size(); ++i) {
    if (moves(i) && seats_[i].slack < cost) return false;
  }
  for (size_t i = 0; i < seats_.size(); ++i) seats_[i].slack -= moves(i) ? cost : 0.0;
  if (held) {
    seats_[rank].in_front = true;
    seats_[rank].slack = kNever;
  }
  SumUp();
  return true;
}

const JobView* OnTimeSet::Next() {
  while (next_ < seats_.size()) {
    const Seat& seat = seats_[next_++];
    if (!seat.in_front) return seat.view;
  }
  return nullptr;
}

}  // namespace stepcast

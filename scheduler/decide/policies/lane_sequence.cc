#include "scheduler/decide/policies/lane_sequence.h"

#include <algorithm>

namespace stepcast {
namespace {

// Jobs that a forecast adds have no queue.
bool Finishing(const JobView& view) { return view.queue != nullptr && view.queue->key.phase == Phase::kDecode; }

// Jobs of a lane that wait for their decode, oldest first. The keys of decodes come last and hold few jobs.
std::vector<const JobView*> FinishingIn(const LaneView& lane, const SchedulerSnapshot& snapshot) {
  std::vector<const JobView*> finishing;
  for (auto key = snapshot.keys.rbegin(); key != snapshot.keys.rend(); ++key) {
    if ((*key)->key.phase != Phase::kDecode) break;
    for (const JobView* view : (*key)->jobs) {
      if (view->lane->tenant == lane.tenant && view->lane->priority == lane.priority) finishing.push_back(view);
    }
  }
  std::sort(finishing.begin(), finishing.end(),
            [](const JobView* a, const JobView* b) { return a->job->id() < b->job->id(); });
  return finishing;
}

}  // namespace

LaneSequence::LaneSequence(const SchedulerSnapshot& snapshot, double now, int fronts)
    : snapshot_(snapshot), fronts_(fronts), start_(now) {}

const JobView* LaneSequence::Next() {
  while (true) {
    if (turns_.empty() && !OpenClass()) return nullptr;
    last_ = 0;
    for (size_t i = 1; i < turns_.size(); ++i) {
      if (turns_[i].used < turns_[last_].used) last_ = i;
    }
    Turn& turn = turns_[last_];
    if (turn.next_finishing < turn.finishing.size()) return turn.finishing[turn.next_finishing++];
    const JobView* view = turn.order.Next();
    while (view != nullptr && Finishing(*view)) view = turn.order.Next();
    if (view != nullptr) return view;
    turns_.erase(turns_.begin() + static_cast<std::ptrdiff_t>(last_));
  }
}

void LaneSequence::Charge(double seconds) {
  Turn& turn = turns_[last_];
  turn.used += seconds / turn.lane->tenant->weight;
}

bool LaneSequence::OpenClass() {
  const auto& lanes = snapshot_.lanes;
  if (next_lane_ == lanes.size()) return false;
  const size_t first = next_lane_;
  double weights = 0.0, work = 0.0;
  for (; next_lane_ < lanes.size() && lanes[next_lane_]->priority == lanes[first]->priority; ++next_lane_) {
    weights += lanes[next_lane_]->tenant->weight;
    work += lanes[next_lane_]->work;
  }
  for (size_t i = first; i < next_lane_; ++i) {
    const LaneView& lane = *lanes[i];
    const OnTimeOptions options{.start = start_, .share = lane.tenant->weight / weights, .fronts = fronts_};
    turns_.push_back({.lane = &lane,
                      .used = lane.tenant->used,
                      .finishing = FinishingIn(lane, snapshot_),
                      .order = OnTimeOrder(lane.by_due, lane.by_work, options)});
  }
  start_ += work;
  return true;
}

}  // namespace stepcast

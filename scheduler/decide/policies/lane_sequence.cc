#include "scheduler/decide/policies/lane_sequence.h"

#include <algorithm>
#include <utility>

namespace stepcast {
namespace {

// Jobs that a forecast adds have no queue.
bool Finishing(const JobView& view) { return view.queue != nullptr && view.job->finishing(); }

// Jobs of a lane that wait for their decode, oldest first. The keys of decodes come last and hold few jobs.
std::vector<const JobView*> FinishingIn(const LaneView& lane, const SchedulerSnapshot& snapshot) {
  std::vector<const JobView*> finishing;
  for (auto key = snapshot.keys.rbegin(); key != snapshot.keys.rend(); ++key) {
    if ((*key)->key.phase < Phase::kDecode) break;
    for (const JobView* view : (*key)->jobs) {
      if (view->job->finishing() && view->lane->tenant == lane.tenant && view->lane->priority == lane.priority)
        finishing.push_back(view);
    }
  }
  std::sort(finishing.begin(), finishing.end(),
            [](const JobView* a, const JobView* b) { return a->job->id() < b->job->id(); });
  return finishing;
}

}  // namespace

struct LaneSequence::Order {
  std::vector<const JobView*> finishing;
  OnTimeOrder on_time;
  size_t next_finishing = 0;
};

// The turn of one lane.
struct LaneSequence::Turn {
  const LaneView* lane;
  double used;
  std::unique_ptr<Order> order;  // null until its turn comes

  // For a heap whose top has used least.
  bool operator<(const Turn& other) const {
    return used != other.used ? used > other.used : lane->tenant->name > other.lane->tenant->name;
  }
};

struct LaneSequence::ShareTurns {
  const ShareView* share;
  double used = 0.0;
  double work = 0.0;
  size_t tenants = 0;
  std::vector<Turn> turns = {};  // a heap
};

LaneSequence::LaneSequence(const SchedulerSnapshot& snapshot, const Options& options)
    : snapshot_(snapshot), options_(options), start_(options.now), next_start_(options.now) {}

LaneSequence::~LaneSequence() = default;

const JobView* LaneSequence::Next() {
  while (true) {
    if (const JobView* done = NextDone()) return Leave(done, *done);
    if (in_turn_ == nullptr) in_turn_ = NextInTurn();
    const bool promised = in_turn_ != nullptr && promised_.has_value() && promised_->Holds(*in_turn_);
    if (in_turn_ != nullptr && !promised && GoesFirst(*in_turn_)) {
      const JobView* view = std::exchange(in_turn_, nullptr);
      return Leave(view, *view);
    }
    if (const JobView* due = NextPromised()) {
      // Whoever was promised something waits for its deadline; its turn goes to the earliest of them.
      return Leave(due, promised ? *std::exchange(in_turn_, nullptr) : *due);
    }
    if (promised_.has_value()) {
      promised_.reset();
    } else if (!OpenClass()) {
      return nullptr;
    }
  }
}

bool LaneSequence::GoesFirst(const JobView& view) {
  if (!promised_.has_value()) return true;
  if (fronts_ == 0 || !promised_->PutInFront(view)) return false;
  --fronts_;
  return true;
}

// Finished pictures that somebody was promised: all they want is a decode.
const JobView* LaneSequence::NextDone() {
  while (next_done_ < firm_.size()) {
    const JobView* view = firm_[next_done_++];
    if (Finishing(*view)) return view;
  }
  return nullptr;
}

const JobView* LaneSequence::NextPromised() {
  while (promised_.has_value()) {
    const JobView* view = promised_->Next();
    if (view == nullptr || !left_.contains(view)) return view;
  }
  return nullptr;
}

const JobView* LaneSequence::Leave(const JobView* view, const JobView& payer) {
  on_time_ = options_.promises || in_turn_on_time_;
  if (view->firm) left_.insert(view);
  payer_ = &payer;
  return view;
}

const JobView* LaneSequence::NextInTurn() {
  while (!shares_.empty()) {
    turn_ = 0;
    for (size_t i = 1; i < shares_.size(); ++i) {
      if (shares_[i].used < shares_[turn_].used) turn_ = i;
    }
    ShareTurns& share = shares_[turn_];
    if (const JobView* view = NextOf(share, share.turns.front())) {
      in_turn_on_time_ = share.turns.front().order->on_time.IsOnTime(*view);
      return view;
    }
    std::pop_heap(share.turns.begin(), share.turns.end());
    share.turns.pop_back();
    if (share.turns.empty()) shares_.erase(shares_.begin() + static_cast<std::ptrdiff_t>(turn_));
  }
  return nullptr;
}

void LaneSequence::Charge(double seconds) {
  // By name: jobs that a forecast adds stand in no lane but its copy. Nearly always it is whose turn it is.
  const std::string& tenant = payer_->job->request().tenant;
  const auto pays = [&](const Turn& turn) { return turn.lane->tenant->name == tenant; };
  const auto charge = [&](ShareTurns& share, Turn& turn) {
    share.used += seconds / share.share->weight;
    turn.used += seconds;
  };
  if (turn_ < shares_.size() && pays(shares_[turn_].turns.front())) {
    ShareTurns& share = shares_[turn_];
    std::pop_heap(share.turns.begin(), share.turns.end());
    charge(share, share.turns.back());
    std::push_heap(share.turns.begin(), share.turns.end());
    return;
  }
  for (ShareTurns& share : shares_) {
    const auto turn = std::find_if(share.turns.begin(), share.turns.end(), pays);
    if (turn == share.turns.end()) continue;
    charge(share, *turn);
    std::make_heap(share.turns.begin(), share.turns.end());
    return;
  }
}

const JobView* LaneSequence::NextOf(const ShareTurns& share, Turn& turn) const {
  const LaneView& lane = *turn.lane;
  if (turn.order == nullptr) {
    const OnTimeOptions options{.start = start_, .pace = PaceOf(share, lane), .fronts = options_.fronts};
    turn.order = std::make_unique<Order>(
        Order{.finishing = FinishingIn(lane, snapshot_), .on_time = OnTimeOrder(lane.by_due, lane.by_work, options)});
  }
  Order& order = *turn.order;
  while (order.next_finishing < order.finishing.size()) {
    const JobView* view = order.finishing[order.next_finishing++];
    if (!left_.contains(view)) return view;
  }
  const JobView* view = order.on_time.Next();
  while (view != nullptr && (Finishing(*view) || left_.contains(view))) view = order.on_time.Next();
  return view;
}

FairPace LaneSequence::PaceOf(const ShareTurns& share, const LaneView& lane) const {
  std::vector<FairPace::Rival> rivals;
  for (const auto& [other, work] : works_) {
    if (other != share.share) rivals.push_back({.work = work, .weight = other->weight});
  }
  return FairPace(share.share->weight, std::move(rivals),
                  {.tenants = static_cast<double>(share.tenants), .others_work = share.work - lane.work});
}

bool LaneSequence::OpenClass() {
  const auto& lanes = snapshot_.lanes;
  if (next_lane_ == lanes.size()) return false;
  const size_t first = next_lane_;
  double work = 0.0;
  for (; next_lane_ < lanes.size() && lanes[next_lane_]->priority == lanes[first]->priority; ++next_lane_) {
    OpenLane(*lanes[next_lane_]);
    work += lanes[next_lane_]->work;
  }
  works_.clear();
  for (ShareTurns& share : shares_) {
    std::make_heap(share.turns.begin(), share.turns.end());
    works_.emplace_back(share.share, share.work);
  }
  start_ = next_start_;
  next_start_ += work;
  if (options_.promises) GatherPromises(lanes.subspan(first, next_lane_ - first));
  return true;
}

void LaneSequence::OpenLane(const LaneView& lane) {
  const ShareView* own = lane.tenant->share;
  auto share = std::find_if(shares_.begin(), shares_.end(), [own](const auto& each) { return each.share == own; });
  if (share == shares_.end()) {
    shares_.push_back({.share = own, .used = own->used});
    share = shares_.end() - 1;
  }
  share->turns.push_back({.lane = &lane, .used = lane.tenant->used, .order = nullptr});
  share->work += lane.work;
  ++share->tenants;
}

void LaneSequence::GatherPromises(absl::Span<const LaneView* const> lanes) {
  firm_.clear();
  promised_.reset();
  for (const LaneView* lane : lanes) {
    for (const JobView* view : lane->by_due) {
      if (view->firm) firm_.push_back(view);
    }
  }
  if (firm_.empty()) return;
  // Those of one lane are in order.
  if (!std::is_sorted(firm_.begin(), firm_.end(), DueBefore)) std::sort(firm_.begin(), firm_.end(), DueBefore);
  promised_.emplace(firm_, start_, FairPace());
  fronts_ = options_.fronts;
  next_done_ = 0;
}

}  // namespace stepcast

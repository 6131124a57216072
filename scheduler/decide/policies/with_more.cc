#include "scheduler/decide/policies/with_more.h"

#include <algorithm>
#include <tuple>

namespace stepcast {
namespace {

auto Rank(const LaneView& lane) { return std::tie(lane.priority, lane.tenant->name); }

template <typename Key>
void Add(std::vector<const JobView*>& views, const JobView* view, Key key) {
  const auto less = [&](const JobView* a, const JobView* b) {
    return std::tuple(key(a), a->job->id()) < std::tuple(key(b), b->job->id());
  };
  views.insert(std::upper_bound(views.begin(), views.end(), view, less), view);
}

}  // namespace

WithMore::WithMore(const SchedulerSnapshot& snapshot, absl::Span<const JobView* const> more)
    : snapshot_(snapshot), lanes_(snapshot.lanes.begin(), snapshot.lanes.end()) {
  for (const JobView* view : more) {
    LaneView& lane = LaneOf(*view);
    Add(lane.by_due, view, [](const JobView* job) { return job->due; });
    Add(lane.by_work, view, [](const JobView* job) { return job->work; });
    lane.work += view->work;
  }
  snapshot_.lanes = lanes_;
}

LaneView& WithMore::LaneOf(const JobView& view) {
  const LaneView wanted{
      .priority = view.job->request().priority, .tenant = &TenantOf(view), .by_due = {}, .by_work = {}};
  for (LaneView& copy : copies_) {
    if (copy.priority == wanted.priority && copy.tenant == wanted.tenant) return copy;
  }
  const auto place = std::lower_bound(lanes_.begin(), lanes_.end(), &wanted,
                                      [](const LaneView* a, const LaneView* b) { return Rank(*a) < Rank(*b); });
  if (place != lanes_.end() && Rank(**place) == Rank(wanted)) {
    copies_.push_back(**place);
    *place = &copies_.back();
  } else {
    copies_.push_back(wanted);
    lanes_.insert(place, &copies_.back());
  }
  return copies_.back();
}

// A tenant without live jobs starts level with the least of those who have some.
const TenantView& WithMore::TenantOf(const JobView& view) {
  const std::string& name = view.job->request().tenant;
  const TenantView* least = nullptr;
  for (const LaneView* lane : lanes_) {
    if (lane->tenant->name == name) return *lane->tenant;
    if (least == nullptr || lane->tenant->used < least->used) least = lane->tenant;
  }
  TenantView& tenant = newcomers_.emplace_back();
  tenant.name = name;
  if (least != nullptr) tenant.used = least->used;
  if (snapshot_.weights != nullptr) {
    const auto weight = snapshot_.weights->find(name);
    if (weight != snapshot_.weights->end()) tenant.weight = weight->second;
  }
  return tenant;
}

}  // namespace stepcast

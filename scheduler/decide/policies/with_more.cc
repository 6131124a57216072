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

// A tenant without live jobs starts level with the least of those of its share who have some; so does a share.
const TenantView& WithMore::TenantOf(const JobView& view) {
  const std::string& name = view.job->request().tenant;
  for (const LaneView* lane : lanes_) {
    if (lane->tenant->name == name) return *lane->tenant;
  }
  for (const TenantView& newcomer : newcomers_) {
    if (newcomer.name == name) return newcomer;
  }
  TenantView& tenant = newcomers_.emplace_back();
  tenant.name = name;
  tenant.share = ShareOf(name);
  const TenantView* least = nullptr;
  for (const LaneView* lane : lanes_) {
    if (lane->tenant->share != tenant.share) continue;
    if (least == nullptr || lane->tenant->used < least->used) least = lane->tenant;
  }
  if (least != nullptr) tenant.used = least->used;
  return tenant;
}

const ShareView* WithMore::ShareOf(const std::string& tenant) {
  static const Shares& nobodys = *new Shares();
  const ShareView& share = (snapshot_.shares != nullptr ? *snapshot_.shares : nobodys).Of(tenant);
  if (share.live > 0) return &share;
  const ShareView* least = nullptr;
  for (const LaneView* lane : lanes_) {
    if (least == nullptr || lane->tenant->share->used < least->used) least = lane->tenant->share;
  }
  ShareView& copy = shares_.emplace_back(share);
  if (least != nullptr) copy.used = std::max(copy.used, least->used);
  return &copy;
}

}  // namespace stepcast

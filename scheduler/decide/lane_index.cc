#include "scheduler/decide/lane_index.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace stepcast {
namespace {

constexpr size_t kMostTenants = 1000;
constexpr double kReserve = 0.05;       // of the time from arrival to deadline
constexpr double kElderUnknown = 30.0;  // seconds until a job of unknown cost is an elder

bool WorkLess(const JobView* a, const JobView* b) {
  return a->work != b->work ? a->work < b->work : a->job->id() < b->job->id();
}

template <typename Less>
void Add(std::vector<const JobView*>& views, const JobView* view, Less less) {
  views.insert(std::lower_bound(views.begin(), views.end(), view, less), view);
}

template <typename Less>
void Drop(std::vector<const JobView*>& views, const JobView* view, Less less) {
  views.erase(std::lower_bound(views.begin(), views.end(), view, less));
}

}  // namespace

double ToSeconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }
absl::Time FromSeconds(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

LaneIndex::LaneIndex(const CostModel& costs, const std::map<std::string, double>& weights)
    : costs_(costs), prices_(costs) {
  for (const auto& [tenant, weight] : weights) shares_.named[tenant].weight = weight;
}

void LaneIndex::Price(JobView& view, absl::Time now) const {
  const JobSpec& spec = view.job->spec();
  const double isolated = absl::ToDoubleSeconds(costs_.Isolated(spec));
  const double arrival = ToSeconds(spec.arrival == absl::InfinitePast() ? now : spec.arrival);
  view.firm = spec.deadline != absl::InfiniteFuture();
  view.due = view.firm ? ToSeconds(spec.deadline) : arrival + kSoftDeadline * isolated;
  view.given = std::max(0.0, view.due - arrival);
  view.target = view.due - kReserve * view.given;
  view.elder_at = arrival + (isolated > 0.0 ? kElder * isolated : kElderUnknown);
  SetRemaining(view, [&](size_t line) { return prices_.Of(view.job->work().lines()[line]); });
  view.roomy = view.given >= kRoomy * view.crowded;
}

void LaneIndex::Insert(JobView& view, absl::Time now) {
  view.prices = prices_.Keep(view.job->work());
  Price(view, now);
  TenantView& tenant = TenantOf(view);
  Arrive(tenant);
  NoteWork(view, tenant, ToSeconds(now));
  Place(view);
  elders_.emplace(view.elder_at, &view);
  places_.emplace(&view, views_.size());
  views_.push_back(&view);
}

// Whoever was away has saved nothing up: neither a share nor a tenant within its share.
void LaneIndex::Arrive(TenantView& tenant) {
  ShareView& share = ShareOf(tenant.name);
  if (share.live++ == 0) {
    double least = std::numeric_limits<double>::infinity();
    const auto stays = [&](const ShareView& other) {
      if (&other != &share && other.live > 0) least = std::min(least, other.used);
    };
    for (const auto& [name, other] : shares_.named) stays(other);
    stays(shares_.common);
    if (std::isfinite(least)) share.used = std::max(share.used, least);
  }
  if (tenant.live++ > 0 || share.tenants++ == 0) return;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, other] : tenants_) {
    if (&other != &tenant && other.share == &share && other.live > 0) least = std::min(least, other.used);
  }
  tenant.used = std::max(tenant.used, least);
}

void LaneIndex::NoteWork(const JobView& view, TenantView& tenant, double now) {
  const auto priority = static_cast<size_t>(view.job->request().priority);
  ArrivingWork& arriving = ShareOf(tenant.name).arriving[priority];
  arriving.all.Add(view.work, now);
  double alone = view.work;
  for (size_t i = 0; i < view.prices.size(); ++i) {
    alone += view.job->left(i) * view.job->work().lines()[i].rows * (view.prices[i]->brief - view.prices[i]->row);
  }
  arriving.alone.Add(alone, now);
  arriving.alone_squared.Add(alone * alone, now);
  if (view.firm) return;
  arriving.soft.Add(view.work, now);
  arriving.soft_squared.Add(view.work * view.work, now);
  tenant.soft[priority].Add(view.work, now);
}

void LaneIndex::Refresh(JobView& view) {
  Reprice(view, [&view](size_t line) { return *view.prices[line]; });
}

template <typename PriceOf>
void LaneIndex::Reprice(JobView& view, PriceOf price_of) {
  LaneView& lane = LaneOf(view);
  Drop(lane.by_work, &view, WorkLess);
  lane.work -= view.work;
  Absolve(view);
  SetRemaining(view, price_of);
  Promise(view);
  lane.work += view.work;
  Add(lane.by_work, &view, WorkLess);
}

void LaneIndex::Erase(JobView& view) {
  TenantView& tenant = TenantOf(view);
  Remove(view);
  ShareView& share = ShareOf(tenant.name);
  --share.live;
  if (--tenant.live == 0) {
    --share.tenants;
    // Names come from outside: those of tenants without jobs are kept up to a bound.
    if (tenants_.size() > kMostTenants) tenants_.erase(std::string(tenant.name));
  }
  prices_.Drop(view.job->work());
  view.prices.clear();
  elders_.erase({view.elder_at, &view});
  const auto place = places_.find(&view);
  places_[views_.back()] = place->second;
  views_[place->second] = views_.back();
  views_.pop_back();
  places_.erase(&view);
  if (!views_.empty()) return;
  // Nobody waits, so nobody owes: who comes back first after a pause has no claim on the next one's time.
  for (auto& [name, each] : tenants_) each.used = 0.0;
  for (auto& [name, each] : shares_.named) each.used = 0.0;
  shares_.common.used = 0.0;
}

void LaneIndex::Charge(const JobView& view, double seconds) {
  TenantView& tenant = TenantOf(view);
  tenant.device_time += seconds;
  tenant.used += seconds;
  ShareView& share = ShareOf(tenant.name);
  share.used += seconds / share.weight;
}

void LaneIndex::FollowCosts(const BatchKey& key) {
  if (!prices_.Follow(key)) return;
  hopeless_.clear();
  for (auto& [name, lane] : by_lane_) lane.work = 0.0;
  for (JobView* view : views_) {
    SetRemaining(*view, [view](size_t line) { return *view->prices[line]; });
    LaneOf(*view).work += view->work;
    Promise(*view);
  }
  for (auto& [name, lane] : by_lane_) std::sort(lane.by_work.begin(), lane.by_work.end(), WorkLess);
}

absl::Duration LaneIndex::backlog() const {
  double work = 0.0;
  for (const LaneView* lane : lanes_) work += lane->work;
  return absl::Seconds(std::max(0.0, work));
}

const JobView* LaneIndex::Hopeless(absl::Time now) {
  const double at = ToSeconds(now);
  for (auto next = hopeless_.begin(); next != hopeless_.end() && next->first < at;) {
    JobView& view = *views_[places_.at(next->second)];
    ++next;
    if (view.in_flight) continue;
    // Its price may be a tenth too high, and it was let in by a fresher one.
    Reprice(view, [&](size_t line) { return prices_.Measure(view.job->work().lines()[line]); });
    if (view.give_up_at < at) return &view;
    next = hopeless_.begin();
  }
  return nullptr;
}

absl::Time LaneIndex::NextHopeless() const {
  return hopeless_.empty() ? absl::InfiniteFuture() : FromSeconds(hopeless_.begin()->first) + absl::Microseconds(1);
}

void LaneIndex::Promise(JobView& view) {
  if (!view.firm || view.probe) return;
  view.give_up_at = view.due - view.alone;
  hopeless_.emplace(view.give_up_at, &view);
}

void LaneIndex::Absolve(JobView& view) {
  if (view.firm && !view.probe) hopeless_.erase({view.give_up_at, &view});
}

template <typename PriceOf>
void LaneIndex::SetRemaining(JobView& view, PriceOf price_of) {
  const Job& job = *view.job;
  view.alone = view.work = view.crowded = 0.0;
  for (size_t i = 0; i < job.work().lines().size(); ++i) {
    const int left = job.left(i);
    if (left == 0) continue;
    const WorkPrice& price = price_of(i);
    view.alone += left * price.alone;
    view.work += left * job.work().lines()[i].rows * price.row;
    view.crowded += left * price.full;
  }
  view.crowded = std::max(view.crowded, view.alone);
}

void LaneIndex::Place(JobView& view) {
  TenantView& tenant = TenantOf(view);
  const Priority priority = view.job->request().priority;
  auto [entry, is_new] = by_lane_.try_emplace({priority, tenant.name});
  LaneView& lane = entry->second;
  if (is_new) {
    lane.priority = priority;
    lane.tenant = &tenant;
    lanes_.insert(PlaceOf(lane), &lane);
  }
  view.lane = &lane;
  Add(lane.by_due, &view, DueBefore);
  Add(lane.by_work, &view, WorkLess);
  lane.work += view.work;
  Promise(view);
}

void LaneIndex::Remove(JobView& view) {
  LaneView& lane = LaneOf(view);
  Drop(lane.by_due, &view, DueBefore);
  Drop(lane.by_work, &view, WorkLess);
  lane.work -= view.work;
  Absolve(view);
  view.lane = nullptr;
  if (!lane.by_due.empty()) return;
  lanes_.erase(PlaceOf(lane));
  by_lane_.erase({lane.priority, lane.tenant->name});
}

std::vector<const LaneView*>::iterator LaneIndex::PlaceOf(const LaneView& lane) {
  const auto rank = [](const LaneView& each) { return std::tie(each.priority, each.tenant->name); };
  return std::lower_bound(lanes_.begin(), lanes_.end(), &lane,
                          [&](const LaneView* a, const LaneView* b) { return rank(*a) < rank(*b); });
}

TenantView& LaneIndex::TenantOf(const JobView& view) {
  const std::string& name = view.job->request().tenant;
  auto [entry, is_new] = tenants_.try_emplace(name);
  if (is_new) {
    entry->second.name = name;
    entry->second.share = &shares_.Of(name);
  }
  return entry->second;
}

ShareView& LaneIndex::ShareOf(const std::string& tenant) {
  const auto found = shares_.named.find(tenant);
  return found == shares_.named.end() ? shares_.common : found->second;
}

LaneView& LaneIndex::LaneOf(const JobView& view) { return by_lane_.at({view.lane->priority, view.lane->tenant->name}); }

}  // namespace stepcast

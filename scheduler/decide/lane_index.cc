#include "scheduler/decide/lane_index.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "scheduler/decide/policies/batch_shape.h"

namespace stepcast {
namespace {

constexpr size_t kMostTenants = 1000;
constexpr double kMoved = 0.1;          // by how much a price may be off
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

LaneIndex::LaneIndex(const CostModel& costs, const std::map<std::string, double>& weights) : costs_(costs) {
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
  SetRemaining(view, RatesOf(view.job->request()));
  view.roomy = view.given >= kRoomy * view.crowded;
}

void LaneIndex::Insert(JobView& view, absl::Time now) {
  KeepRates(view.job->request());
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
  const Rates rates = RatesOf(view.job->request());
  ArrivingWork& arriving = ShareOf(tenant.name).arriving[priority];
  arriving.all.Add(view.work, now);
  const double alone = view.work + view.job->left().rows() * (rates.brief - rates.row);
  arriving.alone.Add(alone, now);
  arriving.alone_squared.Add(alone * alone, now);
  if (view.firm) return;
  arriving.soft.Add(view.work, now);
  arriving.soft_squared.Add(view.work * view.work, now);
  tenant.soft[priority].Add(view.work, now);
}

void LaneIndex::Refresh(JobView& view) { Reprice(view, RatesOf(view.job->request())); }

void LaneIndex::Reprice(JobView& view, const Rates& rates) {
  LaneView& lane = LaneOf(view);
  Drop(lane.by_work, &view, WorkLess);
  lane.work -= view.work;
  Absolve(view);
  SetRemaining(view, rates);
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
  DropRates(view.job->request());
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
  bool moved = false;
  if (key.phase == Phase::kEncode) {
    for (const auto& [denoise, old] : rates_) moved |= denoise.model == key.model && Moved(old.rates, Measure(denoise));
  } else {
    BatchKey denoise = key;
    denoise.phase = Phase::kDenoise;
    const auto old = rates_.find(denoise);
    moved = old != rates_.end() && Moved(old->second.rates, Measure(denoise));
  }
  if (!moved) return;
  for (auto& [denoise, kept] : rates_) kept.rates = Measure(denoise);
  hopeless_.clear();
  for (auto& [name, lane] : by_lane_) lane.work = 0.0;
  for (JobView* view : views_) {
    SetRemaining(*view, RatesOf(view->job->request()));
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
    Reprice(view, Measure(KeyOf(view.job->request(), Phase::kDenoise)));
    if (view.give_up_at < at) return &view;
    next = hopeless_.begin();
  }
  return nullptr;
}

absl::Time LaneIndex::NextHopeless() const {
  return hopeless_.empty() ? absl::InfiniteFuture() : FromSeconds(hopeless_.begin()->first) + absl::Microseconds(1);
}

bool LaneIndex::Moved(const Rates& from, const Rates& to) {
  const auto moved = [](double a, double b) { return std::abs(b - a) > kMoved * std::max(a, b); };
  return moved(from.guided, to.guided) || moved(from.single, to.single) || moved(from.row, to.row) ||
         moved(from.encode, to.encode) || moved(from.decode, to.decode);
}

LaneIndex::Rates LaneIndex::RatesOf(const GenerationRequest& request) const {
  const BatchKey key = KeyOf(request, Phase::kDenoise);
  const auto known = rates_.find(key);
  return known != rates_.end() ? known->second.rates : Measure(key);
}

void LaneIndex::KeepRates(const GenerationRequest& request) {
  const BatchKey key = KeyOf(request, Phase::kDenoise);
  auto [kept, is_new] = rates_.try_emplace(key);
  if (is_new) kept->second.rates = Measure(key);
  ++kept->second.jobs;
}

// Sizes come from outside: none is kept for longer than it has jobs.
void LaneIndex::DropRates(const GenerationRequest& request) {
  const auto kept = rates_.find(KeyOf(request, Phase::kDenoise));
  if (--kept->second.jobs == 0) rates_.erase(kept);
}

void LaneIndex::Promise(JobView& view) {
  if (!view.firm || view.probe) return;
  view.give_up_at = view.due - view.alone;
  hopeless_.emplace(view.give_up_at, &view);
}

void LaneIndex::Absolve(JobView& view) {
  if (view.firm && !view.probe) hopeless_.erase({view.give_up_at, &view});
}

LaneIndex::Rates LaneIndex::Measure(const BatchKey& denoise) const {
  const BatchKey encode{.phase = Phase::kEncode, .model = denoise.model};
  BatchKey decode = denoise;
  decode.phase = Phase::kDecode;
  const auto share = [this](const BatchKey& key, int rows) { return costs_.Seconds(key, rows) / rows; };
  const int knee = costs_.Knee(denoise);
  // One job at a time where more rows do not pay, else as many as fit: what a backlog is worked off with.
  const int rows = knee <= 2 ? std::min(2, costs_.RowCap(denoise)) : costs_.RowCap(denoise);
  int brief = 2;
  while (brief + 2 <= costs_.RowCap(denoise) &&
         costs_.Seconds(denoise, brief + 2) <= BatchShape::kCostly * costs_.Seconds(denoise, 2)) {
    brief += 2;
  }
  return {.single = costs_.Seconds(denoise, 1),
          .guided = costs_.Seconds(denoise, 2),
          .row = share(denoise, rows),
          .full = costs_.Seconds(denoise, rows),
          .brief = std::max(share(denoise, rows), share(denoise, brief)),
          .encode = costs_.Seconds(encode, 1),
          .decode = costs_.Seconds(decode, 1),
          .encode_share = share(encode, costs_.RowCap(encode)),
          .decode_share = share(decode, costs_.RowCap(decode))};
}

void LaneIndex::SetRemaining(JobView& view, const Rates& rates) {
  const Job& job = *view.job;
  const RowCounts left = job.left();
  view.alone = rates.decode + left.single * rates.single + left.guided * rates.guided;
  view.work = rates.decode_share + left.rows() * rates.row;
  view.crowded = rates.decode + left.evaluations() * rates.full;
  if (job.needs_encode()) view.crowded += rates.encode;
  view.crowded = std::max(view.crowded, view.alone);
  if (!job.needs_encode()) return;
  view.alone += rates.encode;
  view.work += rates.encode_share;
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

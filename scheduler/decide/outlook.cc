#include "scheduler/decide/outlook.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace stepcast {
namespace {

constexpr double kLeastSpeed = 0.05;

// Other shares' work without a deadline is expected to be so many standard deviations of its lumps above its mean: it
// can wait a little. In the scenes of docs/scheduling.md 2 refused three points of bursty traffic for nothing. More
// urgent work goes first come what may; how much of that to expect is learned (promise_books.h).
constexpr double kSoftDeviations = 1.25;

// What one share wants of the device, as a part of it.
struct Demand {
  double weight = 1.0;
  double arriving = 0.0;
  double soft = 0.0;      // of that
  double lumps = 0.0;     // variance of that
  double promised = 0.0;  // of what is here
  double granted = 0.0;
};

// Divides `capacity` between `demands` and somebody of `weight` who wants all there is: to each what it wants, as far
// as that is no more than its part by weight of what the others leave.
void Divide(double capacity, double weight, std::vector<Demand>& demands) {
  std::sort(demands.begin(), demands.end(),
            [](const Demand& a, const Demand& b) { return a.arriving * b.weight < b.arriving * a.weight; });
  double weights = weight;
  for (const Demand& demand : demands) weights += demand.weight;
  for (Demand& demand : demands) {
    demand.granted = std::min(demand.arriving, capacity * demand.weight / weights);
    capacity -= demand.granted;
    weights -= demand.weight;
  }
}

absl::flat_hash_map<const ShareView*, double> PromisedWork(absl::Span<const LaneView* const> lanes, Priority priority) {
  absl::flat_hash_map<const ShareView*, double> work;
  for (const LaneView* lane : lanes) {
    if (lane->priority != priority) continue;
    for (const JobView* view : lane->by_due) {
      if (view->firm) work[lane->tenant->share] += view->work;
    }
  }
  return work;
}

// What other tenants of the newcomer's share will have of its part `own`: they take turns.
double OfOwnShare(const Newcomer& newcomer, double own, double now) {
  const auto priority = static_cast<size_t>(newcomer.priority);
  const double mine = newcomer.tenant == nullptr ? 0.0 : newcomer.tenant->soft[priority].Rate(now);
  const int others = newcomer.share->tenants - (newcomer.tenant != nullptr && newcomer.tenant->live > 0 ? 1 : 0);
  const double most = std::max(0.0, own) * (1.0 - 1.0 / (1.0 + std::max(1, others)));
  return std::clamp(newcomer.share->arriving[priority].soft.Rate(now) - mine, 0.0, most);
}

}  // namespace

Outlook OutlookOf(const Newcomer& newcomer, const Shares& shares, absl::Span<const LaneView* const> lanes, double now,
                  double horizon) {
  const auto priority = static_cast<size_t>(newcomer.priority);
  const auto promised = PromisedWork(lanes, newcomer.priority);
  double urgent = 0.0, urgent_lumps = 0.0;
  double weights = newcomer.share->weight;
  std::vector<Demand> demands;
  const auto look = [&](const ShareView& share) {
    for (size_t above = 0; above < priority; ++above) {
      urgent += share.arriving[above].alone.Rate(now);
      urgent_lumps += share.arriving[above].alone_squared.Rate(now);
    }
    const double arriving = share.arriving[priority].all.Rate(now);
    if (&share == newcomer.share || arriving <= 0.0) return;
    const auto here = promised.find(&share);
    demands.push_back({.weight = share.weight,
                       .arriving = arriving,
                       .soft = share.arriving[priority].soft.Rate(now),
                       .lumps = share.arriving[priority].soft_squared.Rate(now) / horizon,
                       .promised = here == promised.end() ? 0.0 : here->second / horizon});
    weights += share.weight;
  };
  for (const auto& [name, share] : shares.named) look(share);
  look(shares.common);

  const double left = std::max(kLeastSpeed, 1.0 - urgent - newcomer.caution * std::sqrt(urgent_lumps / horizon));
  const ArrivingWork& arriving = newcomer.share->arriving[priority];
  Outlook outlook;
  outlook.within_share =
      arriving.all.Rate(now) + newcomer.work / RecentWork::kMemory <= left * newcomer.share->weight / weights;
  for (Demand& demand : demands) {
    // Who brings more than its part is refused for promises to others.
    if (demand.arriving > left * demand.weight / weights) demand.arriving = demand.soft;
    const double more = kSoftDeviations * std::sqrt(demand.lumps);
    demand.soft += more;
    demand.arriving += more;
  }
  Divide(left, newcomer.share->weight, demands);
  outlook.speed = left;
  double own = left;
  for (const Demand& demand : demands) {
    // What is promised to others counts by itself, unless this newcomer need not heed it.
    const double heeded = outlook.within_share ? 0.0 : demand.promised;
    outlook.speed -= std::max({0.0, demand.granted - heeded, std::min(demand.soft, demand.granted)});
    own -= demand.granted;
  }
  outlook.speed = std::max(kLeastSpeed, outlook.speed - OfOwnShare(newcomer, own, now));
  return outlook;
}

}  // namespace stepcast

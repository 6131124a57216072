#pragma once
// The live jobs as deadlines, priorities and fair shares see them, kept in order job by job.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/decide/policy.h"
#include "scheduler/decide/price_list.h"

namespace stepcast {

// Seconds since the Unix epoch, the unit of JobView::due.
double ToSeconds(absl::Time time);
absl::Time FromSeconds(double seconds);

// Keeps lanes, tenants' accounts and ages, and prices every job by a cost model.
//
// Prices are those of the job's last step. When the model has moved by more than a tenth, all are worked out anew:
// rare, and the only thing here that costs more than a few moves in sorted arrays.
//
// Thread-safety: none.
class LaneIndex {
 public:
  // A soft deadline is arrival + kSoftDeadline x isolated time; a job is an elder after kElder x that time.
  static constexpr double kSoftDeadline = 3.0;
  static constexpr double kElder = 20.0;
  static constexpr double kRoomy = 1.3;

  // `costs` must outlive the index. Tenants that `weights` does not name have one share of weight 1 together.
  LaneIndex(const CostModel& costs, const std::map<std::string, double>& weights);

  // Fills in what `slo` wants to know of a job. `now` stands in for an arrival that was not told.
  void Price(JobView& view, absl::Time now) const;

  void Insert(JobView& view, absl::Time now);
  // Takes note that the job has advanced.
  void Refresh(JobView& view);
  void Erase(JobView& view);

  // Books `seconds` of device time to the job's tenant.
  void Charge(const JobView& view, double seconds);

  // Works all prices out anew when the model has moved far enough from those in use.
  void FollowCosts(const BatchKey& key);

  absl::Span<const LaneView* const> lanes() const { return lanes_; }
  const JobView* elder() const { return elders_.empty() ? nullptr : elders_.begin()->second; }
  const std::map<std::string, TenantView>& tenants() const { return tenants_; }
  // Live jobs with a client's deadline, but for probes.
  int firm() const { return static_cast<int>(hopeless_.size()); }
  const Shares& shares() const { return shares_; }
  // Predicted device time of all live jobs.
  absl::Duration backlog() const;

  // A job that cannot meet its client's deadline at `now` even alone; null when there is none. Jobs in flight are
  // left out.
  const JobView* Hopeless(absl::Time now);
  // When Hopeless may find one; infinite future if never.
  absl::Time NextHopeless() const;

 private:
  struct ByTime {
    bool operator()(const std::pair<double, const JobView*>& a, const std::pair<double, const JobView*>& b) const {
      return a.first != b.first ? a.first < b.first : a.second->job->id() < b.second->job->id();
    }
  };
  using TimeSet = absl::btree_set<std::pair<double, const JobView*>, ByTime>;

  void Promise(JobView& view);
  void Absolve(JobView& view);
  template <typename PriceOf>
  static void SetRemaining(JobView& view, PriceOf price_of);
  template <typename PriceOf>
  void Reprice(JobView& view, PriceOf price_of);
  void Place(JobView& view);
  void Remove(JobView& view);
  TenantView& TenantOf(const JobView& view);
  ShareView& ShareOf(const std::string& tenant);
  void Arrive(TenantView& tenant);
  void NoteWork(const JobView& view, TenantView& tenant, double now);
  LaneView& LaneOf(const JobView& view);
  std::vector<const LaneView*>::iterator PlaceOf(const LaneView& lane);  // in lanes_

  const CostModel& costs_;
  Shares shares_;
  std::map<std::string, TenantView> tenants_;  // a map for its stable addresses
  std::map<std::pair<Priority, std::string>, LaneView> by_lane_;
  std::vector<const LaneView*> lanes_;
  TimeSet elders_;
  TimeSet hopeless_;  // jobs with a client's deadline, by give_up_at
  PriceList prices_;
  std::vector<JobView*> views_;                         // all live jobs
  absl::flat_hash_map<const JobView*, size_t> places_;  // in views_
};

}  // namespace stepcast

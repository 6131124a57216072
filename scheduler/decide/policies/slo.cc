#include "scheduler/decide/policies/slo.h"

#include <algorithm>
#include <limits>

#include "scheduler/decide/lane_index.h"
#include "scheduler/decide/policies/batch_shape.h"
#include "scheduler/decide/policies/lane_sequence.h"
#include "scheduler/decide/policies/row_packing.h"
#include "scheduler/decide/policies/with_more.h"

namespace stepcast {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();
constexpr int kMostMisfits = 32;  // jobs that did not fit, after which a tick is taken as it is

bool Ready(const KeyView& key) {
  return std::any_of(key.jobs.begin(), key.jobs.end(), [](const JobView* view) { return !view->in_flight; });
}

// The batch that the device's curve rewards.
int Rewarded(const BatchKey& key, int live_rows, const CostModel& costs) {
  const int knee = costs.Knee(key);
  const int cap = costs.RowCap(key);
  // One guided job is two rows: where that is the knee, company only makes everybody slower.
  return knee > 2 && live_rows > cap ? cap : knee;
}

// Of `rows`, what fits the device and leaves it soon enough for more urgent classes.
int MostRows(const BatchKey& key, const JobView& lead, int rows, const SchedulerSnapshot& snapshot,
             const CostModel& costs, absl::Time now) {
  int most = std::min(rows, costs.RowCap(key));
  for (int urgent = 0; urgent < static_cast<int>(lead.job->request().priority); ++urgent) {
    if (now - snapshot.memory.seen[static_cast<size_t>(urgent)] > SloPolicy::kIdleMemory) continue;
    most = std::min({most, costs.Knee(key), SloPolicy::kIdleJobs * lead.rows});
  }
  most = std::min<int64_t>(most, static_cast<int64_t>(snapshot.limits.max_resident_jobs) * lead.rows);
  // An evaluation that no tick holds comes in parts.
  return std::max(most, std::min(lead.rows, costs.RowCap(key)));
}

// Makes one plan.
class Chooser {
 public:
  Chooser(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now, bool promises)
      : snapshot_(snapshot), costs_(costs), now_(now), promises_(promises), at_(ToSeconds(now)), room_(AsideRoom()) {}

  StepPlan Choose() {
    LaneSequence sequence(snapshot_,
                          {.now = at_, .fronts = snapshot_.limits.RowCap(Phase::kDenoise), .promises = promises_});
    const JobView* lead = EldersTurn();
    if (lead == nullptr) lead = FinishedInTheWay();
    const bool out_of_turn = lead != nullptr;
    while (lead == nullptr) {
      const JobView* view = sequence.Next();
      if (view == nullptr) return {};
      if (Allowed(*view)) lead = view;
    }
    return lead->queue->key.phase == Phase::kDenoise ? Denoise(*lead, out_of_turn, sequence)
                                                     : Aside(*lead, out_of_turn, sequence);
  }

 private:
  // Seconds of encodes and decodes that may run before the next denoise tick.
  double AsideRoom() const {
    const bool waiting = std::any_of(snapshot_.keys.begin(), snapshot_.keys.end(), [](const KeyView* key) {
      return key->key.phase == Phase::kDenoise && Ready(*key);
    });
    if (!waiting) return kNoLimit;
    return 2.0 * snapshot_.memory.denoise - snapshot_.memory.aside;
  }

  // The first item after a denoise tick is always allowed: it may be as long as it is.
  bool Allowed(const JobView& view) const {
    if (view.in_flight) return false;
    if (view.queue->key.phase == Phase::kDenoise || room_ == kNoLimit) return true;
    if (snapshot_.memory.denoise == 0.0) return snapshot_.memory.aside == 0.0;
    return snapshot_.memory.aside == 0.0 || costs_.Seconds(view.queue->key, 1) <= room_;
  }

  const JobView* EldersTurn() const {
    const JobView* elder = snapshot_.elder;
    if (elder == nullptr || elder->elder_at > at_ || !Allowed(*elder)) return nullptr;
    return snapshot_.memory.newest_plan + 1 - elder->last_plan >= SloPolicy::kElderTurns ? elder : nullptr;
  }

  // A finished picture cannot be parked: where the device holds more jobs than it should, it goes first.
  const JobView* FinishedInTheWay() const {
    if (snapshot_.residents.size() <= static_cast<size_t>(snapshot_.limits.max_resident_jobs)) return nullptr;
    for (const JobView* view : snapshot_.residents) {
      if (view->queue->key.phase >= Phase::kDecode && Allowed(*view)) return view;
    }
    return nullptr;
  }

  int DenoiseLimit(const JobView& lead) const {
    const BatchKey& key = lead.queue->key;
    const int live_rows = static_cast<int>(std::min<size_t>(lead.queue->jobs.size(), 1 << 20)) * lead.rows;
    const bool explores = (snapshot_.memory.newest_plan + 1) % SloPolicy::kExploreTurns == 0;
    return MostRows(key, lead, (explores ? 2 : 1) * Rewarded(key, live_rows, costs_), snapshot_, costs_, now_);
  }

  StepPlan Denoise(const JobView& lead, bool out_of_turn, LaneSequence& sequence) {
    const BatchKey& key = lead.queue->key;
    const int limit = DenoiseLimit(lead);
    const double row_seconds = costs_.Seconds(key, limit) / limit;
    BatchShape shape(costs_, key, limit, at_);
    StepPlan plan;
    plan.key = key;
    SeatIn(lead, plan, shape, out_of_turn || sequence.on_time());
    if (!out_of_turn) sequence.Charge(row_seconds * lead.rows);
    cold_.clear();
    size_t met = 1;
    int misfits = 0;
    const bool may_encode = costs_.RowCap(key) > 0 && room_ > 0.0;
    const auto most = static_cast<size_t>(snapshot_.limits.max_resident_jobs);
    while (!shape.full() && plan.jobs.size() < most && misfits < kMostMisfits &&
           (met < lead.queue->jobs.size() || may_encode)) {
      const JobView* view = sequence.Next();
      if (view == nullptr) break;
      if (view == &lead || view->in_flight) continue;
      if (view->queue == lead.queue) {
        ++met;
        if (SeatIn(*view, plan, shape, sequence.on_time())) {
          sequence.Charge(row_seconds * view->rows);
        } else {
          ++misfits;
        }
      } else if (WaitsToJoin(*view, key)) {
        cold_.push_back(view);
        if (static_cast<int>(cold_.size()) * 2 >= limit) break;
      }
    }
    const int room = (limit - shape.rows()) / std::max(1, lead.rows);
    if (!cold_.empty() && room > 0 && Allowed(*cold_.front())) return Encode(room);
    return plan;
  }

  bool SeatIn(const JobView& view, StepPlan& plan, BatchShape& shape, bool on_time) const {
    const int rows = RowsFor(view, shape.room(), costs_.RowCap(plan.key));
    if (rows == 0 || !shape.Add(view, rows, on_time ? view.job->evaluations_here() : 0)) return false;
    Seat(view, rows, plan);
    return true;
  }

  // Whether a job would be in the batch of `key`, had it been encoded.
  static bool WaitsToJoin(const JobView& view, const BatchKey& key) {
    return IsEncode(view.queue->key.phase) && view.job->after_encodes().key == key;
  }

  // An encode of those who will fill the batch.
  StepPlan Encode(int most) const {
    const BatchKey& key = cold_.front()->queue->key;
    StepPlan plan;
    plan.key = key;
    const int limit = std::min(most, Chunk(key));
    for (const JobView* view : cold_) {
      if (plan.rows == limit) break;
      if (view->queue->key != key) continue;
      plan.jobs.push_back(view->job->id());
      ++plan.rows;
    }
    return plan;
  }

  StepPlan Aside(const JobView& lead, bool out_of_turn, LaneSequence& sequence) const {
    const BatchKey& key = lead.queue->key;
    StepPlan plan;
    plan.key = key;
    plan.jobs.push_back(lead.job->id());
    plan.rows = 1;
    const int limit = Chunk(key);
    const double seconds = costs_.Seconds(key, limit) / limit;
    if (!out_of_turn) sequence.Charge(seconds);
    for (size_t met = 1; plan.rows < limit && met < lead.queue->jobs.size();) {
      const JobView* view = sequence.Next();
      if (view == nullptr) break;
      if (view == &lead || view->queue != lead.queue) continue;
      ++met;
      if (view->in_flight) continue;
      plan.jobs.push_back(view->job->id());
      ++plan.rows;
      sequence.Charge(seconds);
    }
    return plan;
  }

  // Items of `key` that fit the room before the next denoise tick; at least one.
  int Chunk(const BatchKey& key) const {
    const int cap = std::min(costs_.RowCap(key), snapshot_.limits.max_resident_jobs);
    int items = 1;
    while (items < cap && costs_.Seconds(key, items + 1) <= room_) ++items;
    return items;
  }

  const SchedulerSnapshot& snapshot_;
  const CostModel& costs_;
  const absl::Time now_;
  const bool promises_;
  const double at_;
  const double room_;
  std::vector<const JobView*> cold_;  // wait for their encode and would fill the batch
};

}  // namespace

StepPlan SloPolicy::Next(const SchedulerSnapshot& snapshot, const CostModel& costs, absl::Time now) const {
  if (snapshot.jobs.empty()) return {};
  return Chooser(snapshot, costs, now, promises_).Choose();
}

int SloPolicy::RowLimit(const BatchKey& key, const JobView& lead, int live_rows, const SchedulerSnapshot& snapshot,
                        const CostModel& costs, absl::Time now) const {
  return MostRows(key, lead, Rewarded(key, live_rows, costs), snapshot, costs, now);
}

std::vector<const JobView*> SloPolicy::Order(const SchedulerSnapshot& snapshot, absl::Span<const JobView* const> more,
                                             absl::Time now) const {
  const WithMore joined(snapshot, more);
  LaneSequence sequence(
      joined.snapshot(),
      {.now = ToSeconds(now), .fronts = snapshot.limits.RowCap(Phase::kDenoise), .promises = promises_});
  std::vector<const JobView*> order;
  order.reserve(snapshot.jobs.size() + more.size());
  while (const JobView* view = sequence.Next()) {
    order.push_back(view);
    sequence.Charge(view->work);
  }
  return order;
}

}  // namespace stepcast

#pragma once
// The live jobs, ordered as policies want to see them.

#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/decide/policy.h"

namespace stepcast {

// Keeps the orders of a SchedulerSnapshot up to date, job by job, so that no plan pays for all of them.
//
// Costs: Refresh is a few loads while the key stays the same, which is almost always; Insert, Erase and a change
// of key move pointers in two arrays (about 1 µs at 1,000 jobs).
//
// Thread-safety: none.
class JobIndex {
 public:
  // Adds a job. `newest_plan`: id of the newest plan made so far. Views must stay at their address until Erase.
  void Insert(JobView& view, int64_t newest_plan);

  // Takes note that the job's position or phase has changed.
  void Refresh(JobView& view, int64_t newest_plan);

  void Erase(JobView& view);

  // Takes note of plan `id` for `key`. REQUIRES: the key has jobs.
  void MarkPlanned(const BatchKey& key, int64_t id);

  absl::Span<const JobView* const> jobs() const { return jobs_; }
  absl::Span<const KeyView* const> keys() const { return keys_; }

 private:
  void Enqueue(JobView& view, int64_t newest_plan);
  void Dequeue(JobView& view);

  std::map<BatchKey, KeyView> queues_;  // a map for its stable addresses
  std::vector<const JobView*> jobs_;    // by id
  std::vector<const KeyView*> keys_;    // the values of queues_, in its order
};

}  // namespace stepcast

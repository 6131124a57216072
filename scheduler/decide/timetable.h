#pragma once
// When a scheduler has something to do although nobody asks: deadlines and heartbeats.

#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "scheduler/words/job.h"

namespace stepcast {

// Follows the live jobs of one scheduler.
//
// Thread-safety: none; that of its scheduler.
class Timetable {
 public:
  // Every job is to be told where it stands at least every `heartbeat` > 0.
  explicit Timetable(absl::Duration heartbeat) : half_(heartbeat / 2) {}

  // The first job comes after a time without any.
  void Begin(absl::Time now) { next_heartbeat_ = now + half_; }

  void Enter(const Job& job);
  void Leave(const Job& job);

  // A job whose deadline has come, each once.
  std::optional<JobId> TakeExpired(absl::Time now);

  // Whether it is time to look who has heard nothing for long; then not again for half a heartbeat.
  bool TakeHeartbeat(absl::Time now);
  // Whether somebody who was told something at `last_told` is to be told again.
  bool Due(absl::Time last_told, absl::Time now) const { return now - last_told >= half_; }

  // When one of the two will have something to do, while there are jobs.
  absl::Time Next() const;

 private:
  // Half the promised interval: a job that spoke just after one round hears the one after the next in time.
  const absl::Duration half_;
  absl::Time next_heartbeat_ = absl::InfinitePast();
  absl::btree_set<std::pair<absl::Time, JobId>> deadlines_;
};

}  // namespace stepcast

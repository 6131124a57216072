#include "scheduler/decide/timetable.h"

#include <algorithm>

namespace stepcast {

void Timetable::Enter(const Job& job) {
  const absl::Time deadline = job.spec().deadline;
  if (deadline != absl::InfiniteFuture()) deadlines_.emplace(deadline, job.id());
}

void Timetable::Leave(const Job& job) { deadlines_.erase({job.spec().deadline, job.id()}); }

std::optional<JobId> Timetable::TakeExpired(absl::Time now) {
  if (deadlines_.empty() || deadlines_.begin()->first > now) return std::nullopt;
  const JobId job = deadlines_.begin()->second;
  deadlines_.erase(deadlines_.begin());
  return job;
}

bool Timetable::TakeHeartbeat(absl::Time now) {
  if (now < next_heartbeat_) return false;
  next_heartbeat_ = now + half_;
  return true;
}

absl::Time Timetable::Next() const {
  return deadlines_.empty() ? next_heartbeat_ : std::min(next_heartbeat_, deadlines_.begin()->first);
}

}  // namespace stepcast

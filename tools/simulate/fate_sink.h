#pragma once
// Listens to the jobs of a run.

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "scheduler/words/event_sink.h"
#include "tools/simulate/outcome.h"

namespace stepcast::simulate {

inline constexpr int kNoBacklog = -1;

// Seconds from the start of a run, which is the Unix epoch.
inline double Elapsed(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

// Writes the ends of jobs into their fates.
//
// Thread-safety: none.
class FateSink final : public EventSink {
 public:
  // Both must outlive the sink.
  FateSink(std::vector<Fate>& fates, const absl::Time& now) : fates_(fates), now_(now) {}

  // `job` is fate number `fate`; `backlog`: the one it belongs to, or kNoBacklog.
  void Follow(JobId job, size_t fate, int backlog) { followed_[job] = {fate, backlog}; }
  // The job was taken back, to be tried elsewhere: its end is nobody's.
  void Forget(JobId job) { followed_.erase(job); }

  void OnEvent(JobEvent event) override;

  std::vector<int> ended_of_backlog;  // one for each job that ended; the driver takes them

 private:
  std::vector<Fate>& fates_;
  const absl::Time& now_;
  absl::flat_hash_map<JobId, std::pair<size_t, int>> followed_;
};

}  // namespace stepcast::simulate

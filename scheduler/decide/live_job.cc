#include "scheduler/decide/live_job.h"

#include <numeric>

namespace stepcast {

std::vector<DeviceCost> Flight::Shares(absl::Duration elapsed) const {
  const int total = std::accumulate(rows.begin(), rows.end(), 0);
  std::vector<DeviceCost> shares;
  int before = 0;
  // Differences of rounded sums, so that the shares sum to the tick.
  for (const int each : rows) {
    shares.push_back({.row_evaluations = plan.phase() == Phase::kDenoise ? each : 0,
                      .device_time = elapsed * (before + each) / total - elapsed * before / total});
    before += each;
  }
  return shares;
}

}  // namespace stepcast

#include <algorithm>
#include <cmath>
#include <vector>

#include "tools/simulate/acceptance.h"
#include "tools/simulate/driver.h"
#include "tools/simulate/gap_books.h"

namespace stepcast::simulate {

std::vector<Claim> PhaseClaims() {
  constexpr double kDecode = 0.150;
  constexpr int kRunning = 4;
  const absl::Duration burst = absl::Seconds(2);
  RunOptions run;
  run.device = WithEnds(BuiltInDevice("L").value(), absl::Milliseconds(40), absl::Seconds(kDecode));
  for (int i = 0; i < kRunning; ++i) run.arrivals.push_back({.at = absl::ZeroDuration(), .steps = 50, .done = 10});
  for (int i = 0; i < 48; ++i) {
    Arrival arrival{.at = burst, .steps = 50};
    if (i < 16) arrival.done = arrival.steps;
    arrival.cold = i >= 16;
    run.arrivals.push_back(arrival);
  }
  GapBooks books(absl::Seconds(kDecode));
  run.observer = &books;
  const Outcome outcome = Run(run);
  double pictures = 0.0;
  for (const Fate& fate : outcome.fates) {
    if (fate.arrival.done == fate.arrival.steps) pictures = std::max(pictures, fate.latency());
  }
  // Before the burst nothing can come between. A tick without the job does not end its gap.
  std::vector<double> gaps;
  for (const Gap& gap : books.gaps()) {
    if (gap.job.value <= kRunning && gap.to >= absl::UnixEpoch() + burst) gaps.push_back(gap.quanta);
  }
  std::sort(gaps.begin(), gaps.end());
  return {{"16 decodes and 32 cold prompts among 4 jobs: p99 gap of a running job, quanta",
           gaps[static_cast<size_t>(std::ceil(0.99 * static_cast<double>(gaps.size() - 1)))], 2.0, true},
          {"the 16 pictures, x the time of decoding them alone", pictures / (16 * kDecode), 2.0, true}};
}

}  // namespace stepcast::simulate

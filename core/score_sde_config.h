#pragma once
// What the scheduler_config.json of a ScoreSdeVeScheduler says beyond sigma_min and sigma_max.

#include <optional>
#include <utility>

namespace stepcast {

// An empty optional means "not in the file".
struct ScoreSdeConfig {
  std::optional<double> snr;           // signal-to-noise ratio of the corrector, > 0
  std::optional<double> sampling_eps;  // time at which sampling ends, in (0, 1)
  std::optional<int> correct_steps;    // corrector evaluations per step

  friend bool operator==(const ScoreSdeConfig&, const ScoreSdeConfig&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const ScoreSdeConfig& c) {
    return H::combine(std::move(h), c.snr, c.sampling_eps, c.correct_steps);
  }
};

}  // namespace stepcast

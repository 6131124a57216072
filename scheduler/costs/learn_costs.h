#pragma once
// How a loop gets to know its device before it reports ready, and what it keeps for the next one.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/batch_key.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

struct ProfileOptions {
  absl::Duration budget = absl::ZeroDuration();  // for synthetic ticks at the start, 0..1 h; 0: none
  std::vector<BatchKey> keys = {};               // what to measure, most important first
  std::string cache_file = {};                   // "": none; read at the start, written after a profile and at Stop
  // Called on the engine thread when a cache cannot be used or a profile stopped early; serving goes on without.
  std::function<void(const absl::Status&)> on_warning = {};
  std::string fingerprint = {};  // what the measurements depend on: models, device, dtype, threads
};

// Costs from the cache of an earlier run, and what it lacks of `profile.keys` from synthetic ticks of `executor`; what
// was measured anew is written to the cache.
std::vector<CostEntry> LearnCosts(const ProfileOptions& profile, StepExecutor& executor, const Clock& clock);

// Writes what `costs` have learned to the cache, if there is one.
void SaveCosts(const ProfileOptions& profile, const CostModel& costs);

}  // namespace stepcast

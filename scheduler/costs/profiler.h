#pragma once
// Getting to know a device before it serves.

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "core/clock.h"
#include "core/model_info.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

inline constexpr int kProfilePasses = 3;

// What is worth measuring of a model: the ticks of a default request, most important first.
std::vector<BatchKey> ProfileKeys(const ModelInfo& model);

// The row counts of one key, coarse first: one job, the cap, then halves of it, then a single row.
std::vector<int> ProfiledRows(const BatchKey& key, int cap);

// Times synthetic ticks of `keys` and puts their curves into `costs`. Coarse first: for each key, in order, one job and
// a full tick, then half of that, and so on; so whatever the budget, every key is known before any is known well. That
// is done `passes` times over and the median of a row count counts, so that what else the machine does for a moment
// disturbs no row count more than once; the first tick of a key is thrown away. No tick is started that is expected to
// end after `budget`; an infinite one is allowed. A row count that does not fit lowers the key's cap.
//
// Errors: of RunSynthetic (UNIMPLEMENTED: the executor has none; the device is lost; ...). What was measured until then
// counts.
absl::Status ProfileCosts(StepExecutor& executor, absl::Span<const BatchKey> keys, absl::Duration budget,
                          const Clock& clock, CostModel& costs, int passes = kProfilePasses);

}  // namespace stepcast

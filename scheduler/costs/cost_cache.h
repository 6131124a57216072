#pragma once
// Measured costs that outlive the process.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/costs/cost_model.h"

namespace stepcast {

// A text file: the line "stepcast-costs 1 <fingerprint>", then one line per key,
//   <phase> <latent height> <latent width> <row cap> <rows>:<nanoseconds>,... <model>
// Nothing in it is trusted: a cache that cannot be used costs a profile, never the start of a server.

// Errors: NOT_FOUND (no file), FAILED_PRECONDITION (it is of another fingerprint: other models, device, dtype or
// threads), INVALID_ARGUMENT (no cache, more than 16 MiB, a line that cannot be read, out of range). All name the file.
absl::StatusOr<std::vector<CostEntry>> ReadCostCache(const std::string& path, const std::string& fingerprint);

// Replaces the file in one step (a rename), so that a reader never sees half of it. REQUIRES: no line break in
// `fingerprint` and in the models. Errors: UNAVAILABLE naming the file.
absl::Status WriteCostCache(const std::string& path, const std::string& fingerprint,
                            const std::vector<CostEntry>& entries);

}  // namespace stepcast

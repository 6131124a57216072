#pragma once
// Arrivals from a file: CSV with a header line, or one JSON object a line.

#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// Reads a whole trace. `name` is for messages; what a row does not say it takes from `pattern`. Columns `width` and
// `height` are pixels, `pixels_per_latent` of which are a side of a latent: a model's vae_scale_factor. A file whose
// first character is '{' is JSON lines.
// Errors: INVALID_ARGUMENT as "<name>:<line>: <column>: what came, what is allowed", also for unknown columns and
// an empty trace; RESOURCE_EXHAUSTED beyond ten million rows.
absl::StatusOr<std::vector<Arrival>> ReadTrace(std::istream& in, const std::string& name, const Arrival& pattern = {},
                                               int pixels_per_latent = kVaeScale);

// The same from a file. Errors: also NOT_FOUND.
absl::StatusOr<std::vector<Arrival>> ReadTraceFile(const std::string& path, const Arrival& pattern = {},
                                                   int pixels_per_latent = kVaeScale);

}  // namespace stepcast::simulate

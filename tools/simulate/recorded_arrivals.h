#pragma once
// The arrivals of a recording, to run them under other policies, costs or numbers of devices.

#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/recording_reader.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// One arrival per job, in order of time, with its deadline and, if its client gave up, when. Guidance that ends early
// counts as guided, and previews are those that were asked for. Errors: those of RecordingReader::Next;
// INVALID_ARGUMENT for a recording without arrivals.
absl::StatusOr<std::vector<Arrival>> ReadArrivals(RecordingReader& recording);

}  // namespace stepcast::simulate

#pragma once
// The arrivals of recordings, to run them under other policies, costs or numbers of devices.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// One arrival per picture, in order of time, with its deadline and, if its client gave up, when; whoever was refused is
// among them, once, however many devices were asked. Several files, as a server with several devices writes them,
// become one stream that starts with the earliest of them; images of one request stay arrivals of their own. Guidance
// that ends early counts as guided, and previews are those that were asked for.
// Errors: those of RecordingReader::Open and Next; INVALID_ARGUMENT when no file holds an arrival.
absl::StatusOr<std::vector<Arrival>> ReadArrivals(const std::vector<std::string>& paths);

}  // namespace stepcast::simulate

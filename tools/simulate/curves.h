#pragma once
// Devices to simulate: what their ticks cost.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/costs/cost_model.h"

namespace stepcast::simulate {

// The model that simulated requests ask for: 64x64 latents unless an arrival says otherwise.
inline constexpr char kModel[] = "sim";
inline constexpr int kLatentSide = 64;
inline constexpr int kVaeScale = 8;  // pixels a latent, unless a trace is said to have others

// A device: its limits and its true costs. A guided job is two rows.
struct Device {
  std::string name;
  ExecutorLimits limits;
  std::vector<CostEntry> costs;
};

// The built-in devices, by their jobs (row pairs) per tick; 8 jobs are a full batch; encode and decode are free:
//   "L" launch-bound, measured on a small GPU: 167, 183, 186, 240, 425, 832 ms for 1, 2, 3, 4, 8, 16 jobs
//   "S" SDXL-like: 8 + 22 b ms for b jobs
//   "C" compute-bound: 100 (0.05 + 0.95 b) ms
//   "Q" a small fast model: 5 + 1.5 r + 0.02 r^2 ms for r rows
// Errors: INVALID_ARGUMENT naming the known ones.
absl::StatusOr<Device> BuiltInDevice(std::string_view name);

// The same device with an encode of `encode` per prompt and a decode of `decode` per picture, in proportion to their
// number; at most 8 encodes and 4 decodes a tick.
Device WithEnds(Device device, absl::Duration encode, absl::Duration decode);

// The first denoise entry: random requests ask for its model and latent size. Null when no denoise tick is known.
const CostEntry* NativeCosts(const Device& device);

// Seconds of a denoise tick with `jobs` guided jobs of that key. REQUIRES: there is one.
double TickSeconds(const Device& device, int jobs);

}  // namespace stepcast::simulate

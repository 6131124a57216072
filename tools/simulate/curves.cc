#include "tools/simulate/curves.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"

namespace stepcast::simulate {
namespace {

constexpr int kFullBatch = 8;  // jobs

CostEntry Denoise(std::vector<CostPoint> points) {
  return {.key = {Phase::kDenoise, kModel, kLatentSide, kLatentSide}, .points = std::move(points), .row_cap = 0};
}

// Points at every number of jobs up to 16 of fixed + slope x jobs milliseconds.
std::vector<CostPoint> Line(double fixed, double slope) {
  std::vector<CostPoint> points;
  for (int jobs = 1; jobs <= 16; ++jobs) points.push_back({2 * jobs, absl::Milliseconds(fixed + slope * jobs)});
  return points;
}

// Points at every number of jobs up to 16: 5 + 1.5 r + 0.02 r x r milliseconds for r rows.
std::vector<CostPoint> Bent() {
  std::vector<CostPoint> points;
  for (int rows = 2; rows <= 32; rows += 2) {
    points.push_back({rows, absl::Milliseconds(5.0 + 1.5 * rows + 0.02 * rows * rows)});
  }
  return points;
}

}  // namespace

absl::StatusOr<Device> BuiltInDevice(std::string_view name) {
  Device device{.name = std::string(name),
                .limits = {.max_denoise_rows = 2 * kFullBatch, .max_encode_jobs = 8, .max_decode_jobs = 4},
                .costs = {}};
  if (name == "L") {
    device.costs.push_back(Denoise({{2, absl::Milliseconds(167)},
                                    {4, absl::Milliseconds(183)},
                                    {6, absl::Milliseconds(186)},
                                    {8, absl::Milliseconds(240)},
                                    {16, absl::Milliseconds(425)},
                                    {32, absl::Milliseconds(832)}}));
  } else if (name == "S") {
    device.costs.push_back(Denoise(Line(8.0, 22.0)));
  } else if (name == "C") {
    device.costs.push_back(Denoise(Line(5.0, 95.0)));
  } else if (name == "Q") {
    device.costs.push_back(Denoise(Bent()));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("no built-in device is called '", ToAbsl(name), "'; known: L, S, C, Q"));
  }
  return WithEnds(std::move(device), absl::ZeroDuration(), absl::ZeroDuration());
}

Device WithEnds(Device device, absl::Duration encode, absl::Duration decode) {
  std::erase_if(device.costs, [](const CostEntry& entry) { return entry.key.phase != Phase::kDenoise; });
  device.costs.push_back({.key = {Phase::kEncode, kModel}, .points = {{1, encode}, {8, 8 * encode}}, .row_cap = 0});
  device.costs.push_back({.key = {Phase::kDecode, kModel, kLatentSide, kLatentSide},
                          .points = {{1, decode}, {4, 4 * decode}},
                          .row_cap = 0});
  return device;
}

const CostEntry* NativeCosts(const Device& device) {
  const auto entry = std::find_if(device.costs.begin(), device.costs.end(),
                                  [](const CostEntry& each) { return each.key.phase == Phase::kDenoise; });
  return entry == device.costs.end() ? nullptr : &*entry;
}

double TickSeconds(const Device& device, int jobs) { return CostCurve(NativeCosts(device)->points).Seconds(2 * jobs); }

}  // namespace stepcast::simulate

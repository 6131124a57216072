#pragma once
// A sweep as people and programs read it.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/simulate/sweep.h"

namespace stepcast::simulate {

// A table, 110 columns wide: one line a point, below it one for each priority and tenant where there are several.
std::string ToText(const std::vector<SweepPoint>& points);

// One JSON object; keys in tools/simulate/README.md.
std::string ToJson(const std::string& device, const std::vector<SweepPoint>& points);

// A picture and the file name that says what it shows.
struct Plot {
  std::string name;  // "mean_latency.svg"
  std::string svg;
};

// What the points can show: curves over the offered rate where there are several, over the number of devices where
// there are several, and the distribution of latencies at the highest rate and the most devices. `loads`: what to
// call the rates on the axis, as many as there are different rates; empty: requests a second.
std::vector<Plot> Plots(const std::vector<SweepPoint>& points, const std::vector<double>& loads = {});

// Writes them below `folder`, which is made if it is not there. Errors: UNAVAILABLE naming the file.
absl::Status WritePlots(const std::string& folder, const std::vector<Plot>& plots);

}  // namespace stepcast::simulate

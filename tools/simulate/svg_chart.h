#pragma once
// Charts as SVG text: enough for curves and grouped bars, and no library.

#include <string>
#include <utility>
#include <vector>

namespace stepcast::simulate {

struct Axis {
  std::string label = "";
  bool logarithmic = false;  // all values must be > 0
  bool percent = false;      // values 0..1, shown as 0 %..100 %
  bool from_zero = true;     // the axis includes 0; ignored when logarithmic
};

struct Series {
  std::string name = "";
  std::vector<std::pair<double, double>> points = {};  // in order of x; a point that is not finite is left out
  bool steps = false;                                  // holds its value until the next x: distribution functions
};

// Curves over one x. A series named in two charts has the same colour when it has the same place in both.
struct LineChart {
  std::string title = "";
  Axis x = {}, y = {};
  std::vector<Series> series = {};
  bool markers = true;
};

// Bars in groups: values[s][g] is the bar of series s in group g; not finite: no bar.
struct BarChart {
  std::string title = "";
  Axis y = {};
  std::vector<std::string> groups = {};
  std::vector<std::string> series = {};
  std::vector<std::vector<double>> values = {};
};

// One well-formed SVG document of 720x420, white background, text in a sans-serif font. Names and labels are
// escaped. An empty chart shows its frame and "no data".
std::string ToSvg(const LineChart& chart);
std::string ToSvg(const BarChart& chart);

// At most about `count` round numbers from `low` to `high`, both inside; steps of 1, 2 or 5 times a power of ten.
// REQUIRES: low < high, count >= 2.
std::vector<double> NiceTicks(double low, double high, int count);

// 1, 2 and 5 times the powers of ten from `low` to `high`; only the powers when that were more than ten.
// REQUIRES: 0 < low < high.
std::vector<double> LogTicks(double low, double high);

}  // namespace stepcast::simulate

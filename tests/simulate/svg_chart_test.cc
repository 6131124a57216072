#include "tools/simulate/svg_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace stepcast::simulate {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pointwise;

// A small check of well-formedness: tags are closed in order, attributes are quoted, no stray markup in text.
bool WellFormed(const std::string& svg) {
  std::vector<std::string> open;
  for (size_t i = 0; i < svg.size();) {
    if (svg[i] == '&') {
      const size_t end = svg.find(';', i);
      const std::string entity = end == std::string::npos ? "" : svg.substr(i, end - i + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;") return false;
    }
    if (svg[i] == '>') return false;
    if (svg[i] != '<') {
      ++i;
      continue;
    }
    const size_t end = svg.find('>', i);
    if (end == std::string::npos) return false;
    const std::string tag = svg.substr(i + 1, end - i - 1);
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return false;
    if (tag.front() == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    i = end + 1;
  }
  return open.empty();
}

TEST(TicksTest, AreRoundAndInside) {
  const struct {
    double low, high;
    std::vector<double> ticks;
  } kCases[] = {
      {0, 1, {0, 0.2, 0.4, 0.6, 0.8, 1}},
      {0, 97, {0, 20, 40, 60, 80}},
      {-3, 3, {-2, 0, 2}},
      {0, 0.0034, {0, 0.001, 0.002, 0.003}},
      {990, 1010, {990, 995, 1000, 1005, 1010}},
  };
  for (const auto& test : kCases) {
    EXPECT_THAT(NiceTicks(test.low, test.high, 6), Pointwise(testing::DoubleNear(1e-12), test.ticks))
        << test.low << ".." << test.high;
  }
}

TEST(TicksTest, OfALogarithmicAxis) {
  EXPECT_THAT(LogTicks(3, 60), ElementsAre(DoubleEq(5), DoubleEq(10), DoubleEq(20), DoubleEq(50)));
  EXPECT_THAT(LogTicks(0.01, 1e4), ElementsAre(DoubleEq(0.01), DoubleEq(0.1), DoubleEq(1), DoubleEq(10), DoubleEq(100),
                                               DoubleEq(1000), DoubleEq(10000)));
}

TEST(SvgChartTest, ALineChartIsWellFormedWhateverTheNames) {
  LineChart chart{.title = "a < b & \"c\" > d",
                  .x = {.label = "load"},
                  .y = {.label = "mean & tail"},
                  .series = {{.name = "slo <new>", .points = {{0, 1}, {0.5, 2}, {1, 4}}},
                             {.name = "fifo", .points = {{0, 2}, {1, 8}}, .steps = true}}};
  const std::string svg = ToSvg(chart);
  EXPECT_TRUE(WellFormed(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; \"c\" &gt; d"));
  EXPECT_THAT(svg, HasSubstr("slo &lt;new&gt;"));
}

TEST(SvgChartTest, AMonotoneCurveRisesOnThePage) {
  const std::string svg = ToSvg(LineChart{.series = {{.name = "s", .points = {{0, 0}, {1, 10}}}}});
  // From the lower left corner of the plot to its upper right one.
  EXPECT_THAT(svg, HasSubstr("d=\"M76.0 362.0 L560.0 44.0\""));
}

TEST(SvgChartTest, ADistributionHoldsItsValueUntilTheNextStep) {
  const std::string svg = ToSvg(LineChart{.series = {{.name = "s", .points = {{0, 0}, {1, 10}}, .steps = true}}});
  EXPECT_THAT(svg, HasSubstr("d=\"M76.0 362.0 L560.0 362.0 L560.0 44.0\""));
}

TEST(SvgChartTest, LeavesOutWhatHasNoPlace) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const LineChart line{.x = {.label = "x", .logarithmic = true},
                       .y = {.label = "y", .logarithmic = true},
                       .series = {{.name = "s", .points = {{0, 1}, {1, 10}, {2, nan}, {3, inf}, {10, 100}, {20, -1}}}}};
  const std::string svg = ToSvg(line);
  EXPECT_TRUE(WellFormed(svg));
  EXPECT_THAT(svg, HasSubstr("d=\"M76.0 362.0 L560.0 44.0\""));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(SvgChartTest, BarsStandWhereTheirGroupIs) {
  const BarChart chart{.title = "attainment",
                       .y = {.label = "in time", .percent = true},
                       .groups = {"L", "S"},
                       .series = {"slo", "fifo"},
                       .values = {{0.5, 1.0}, {0.25, std::numeric_limits<double>::quiet_NaN()}}};
  const std::string svg = ToSvg(chart);
  EXPECT_TRUE(WellFormed(svg)) << svg;
  // Half of a plot of 318 pixels, from the bottom at 362.
  EXPECT_THAT(svg, HasSubstr("y=\"203.0\" width=\"89.1\" height=\"159.0\" fill=\"#0072B2\""));
  EXPECT_THAT(svg, HasSubstr(">50</text>"));
  EXPECT_THAT(svg, HasSubstr(">25</text>"));
  EXPECT_THAT(svg, HasSubstr(">100 %</text>"));
}

TEST(SvgChartTest, EmptyChartsSaySo) {
  for (const std::string& svg : {ToSvg(LineChart{}), ToSvg(BarChart{})}) {
    EXPECT_TRUE(WellFormed(svg));
    EXPECT_THAT(svg, HasSubstr("no data"));
  }
}

}  // namespace
}  // namespace stepcast::simulate

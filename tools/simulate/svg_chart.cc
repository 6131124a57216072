#include "tools/simulate/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace stepcast::simulate {
namespace {

constexpr double kWidth = 720, kHeight = 420;
constexpr double kLeft = 76, kRight = 560, kTop = 44, kBottom = 362;  // the plot; the legend stands right of it
constexpr double kLegend = 576;

// Okabe and Ito's colours, which colour-blind readers can tell apart; the order puts the strongest first.
constexpr std::array<const char*, 7> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                 "#E69F00", "#56B4E9", "#444444"};

const char* Colour(size_t series) { return kColours[series % kColours.size()]; }

std::string Escape(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '>') {
      safe += "&gt;";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      safe += c;
    }
  }
  return safe;
}

struct Look {
  const char* anchor = "middle";
  int size = 12;
  const char* weight = "normal";
  bool upright = false;  // turned by a quarter, for the y axis
};

std::string Text(double x, double y, const std::string& text, Look look = {}) {
  const std::string turn = look.upright ? absl::StrFormat(" transform=\"rotate(-90 %.1f %.1f)\"", x, y) : "";
  return absl::StrFormat(
      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" font-weight=\"%s\"%s>%s</text>\n", x, y,
      look.anchor, look.size, look.weight, turn, Escape(text));
}

std::string Line(double x1, double y1, double x2, double y2, const char* colour) {
  return absl::StrFormat("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2,
                         colour);
}

bool Fits(const Axis& axis, double value) { return std::isfinite(value) && (!axis.logarithmic || value > 0); }

// Maps values of one axis to pixels.
class Scale {
 public:
  Scale(const Axis& axis, const std::vector<double>& values, double from, double to)
      : axis_(axis), from_(from), to_(to) {
    low_ = std::numeric_limits<double>::infinity();
    high_ = -low_;
    for (const double value : values) {
      if (!Fits(axis, value)) continue;
      low_ = std::min(low_, value);
      high_ = std::max(high_, value);
    }
    if (low_ > high_) {
      low_ = axis.logarithmic ? 1 : 0;
      high_ = axis.logarithmic ? 10 : 1;
    }
    if (!axis.logarithmic && axis.from_zero) low_ = std::min(low_, 0.0), high_ = std::max(high_, 0.0);
    if (axis.percent) high_ = std::max(high_, 1.0);
    if (low_ == high_) high_ = axis.logarithmic ? low_ * 10 : low_ + 1;
    ticks_ = axis.logarithmic ? LogTicks(low_, high_) : NiceTicks(low_, high_, 6);
    if (ticks_.size() < 2) ticks_ = {low_, high_};
    // Whole ticks at both ends of a linear axis.
    if (!axis.logarithmic && !axis.percent) {
      const double step = ticks_[1] - ticks_[0];
      if (high_ > ticks_.back() + step * 1e-6) ticks_.push_back(ticks_.back() + step);
      if (low_ < ticks_.front() - step * 1e-6) ticks_.insert(ticks_.begin(), ticks_.front() - step);
      low_ = std::min(low_, ticks_.front());
      high_ = std::max(high_, ticks_.back());
    }
  }

  bool Shows(double value) const { return Fits(axis_, value); }

  double operator()(double value) const {
    const double part =
        axis_.logarithmic ? std::log(value / low_) / std::log(high_ / low_) : (value - low_) / (high_ - low_);
    return from_ + part * (to_ - from_);
  }

  const std::vector<double>& ticks() const { return ticks_; }
  double base() const { return axis_.logarithmic ? low_ : std::max(0.0, low_); }

  std::string Label(double value) const {
    if (axis_.percent) return absl::StrFormat("%g %%", std::round(value * 1e4) / 100);
    return absl::StrFormat("%g", std::abs(value) < 1e-12 ? 0 : value);
  }

 private:
  const Axis axis_;
  const double from_, to_;
  double low_, high_;
  std::vector<double> ticks_;
};

std::string Open(const std::string& title) {
  return absl::StrFormat(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" "
             "font-family=\"Helvetica, Arial, sans-serif\" fill=\"#222222\">\n"
             "<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n",
             kWidth, kHeight, kWidth, kHeight, kWidth, kHeight) +
         Text(kLeft, 26, title, {.anchor = "start", .size = 15, .weight = "bold"});
}

std::string YAxis(const Scale& scale, const std::string& label) {
  std::string svg;
  for (const double tick : scale.ticks()) {
    svg += Line(kLeft, scale(tick), kRight, scale(tick), "#e2e2e2");
    svg += Text(kLeft - 8, scale(tick) + 4, scale.Label(tick), {.anchor = "end"});
  }
  svg += Line(kLeft, kTop, kLeft, kBottom, "#666666");
  svg += Text(20, (kTop + kBottom) / 2, label, {.size = 13, .upright = true});
  return svg;
}

std::string XAxis(const Scale& scale, const std::string& label) {
  std::string svg;
  for (const double tick : scale.ticks()) {
    svg += Line(scale(tick), kBottom, scale(tick), kBottom + 5, "#666666");
    svg += Text(scale(tick), kBottom + 19, scale.Label(tick));
  }
  svg += Line(kLeft, kBottom, kRight, kBottom, "#666666");
  svg += Text((kLeft + kRight) / 2, kBottom + 42, label, {.size = 13});
  return svg;
}

std::string Legend(size_t place, const std::string& name) {
  const double y = kTop + 12 + static_cast<double>(place) * 21;
  return absl::StrFormat("<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"10\" fill=\"%s\"/>\n", kLegend, y - 9,
                         Colour(place)) +
         Text(kLegend + 20, y, name, {.anchor = "start"});
}

std::string NoData() { return Text((kLeft + kRight) / 2, (kTop + kBottom) / 2, "no data", {.size = 14}); }

std::string Curve(const Series& series, size_t place, const Scale& x, const Scale& y, bool markers) {
  std::string path, dots;
  double last = 0;
  for (const auto& [px, py] : series.points) {
    if (!x.Shows(px) || !y.Shows(py)) continue;
    if (path.empty()) {
      path = absl::StrFormat("M%.1f %.1f", x(px), y(py));
    } else {
      if (series.steps) absl::StrAppendFormat(&path, " L%.1f %.1f", x(px), last);
      absl::StrAppendFormat(&path, " L%.1f %.1f", x(px), y(py));
    }
    last = y(py);
    if (markers) {
      absl::StrAppendFormat(&dots, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" fill=\"%s\"/>\n", x(px), y(py),
                            Colour(place));
    }
  }
  if (path.empty()) return "";
  return absl::StrFormat("<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path, Colour(place)) +
         dots;
}

}  // namespace

std::vector<double> NiceTicks(double low, double high, int count) {
  const double raw = (high - low) / (count - 1);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power * 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= raw * (1 - 1e-9)) {
      step = power * factor;
      break;
    }
  }
  std::vector<double> ticks;
  const auto last = static_cast<int64_t>(std::floor(high / step + 1e-9));
  // From whole multiples, so that no rounding error adds up.
  for (auto i = static_cast<int64_t>(std::ceil(low / step - 1e-9)); i <= last; ++i) {
    ticks.push_back(static_cast<double>(i) * step);
  }
  return ticks;
}

std::vector<double> LogTicks(double low, double high) {
  const auto fill = [&](const std::vector<double>& factors) {
    std::vector<double> ticks;
    for (double exponent = std::floor(std::log10(low)); exponent <= std::log10(high); ++exponent) {
      for (const double factor : factors) {
        const double tick = factor * std::pow(10.0, exponent);
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  const std::vector<double> fine = fill({1, 2, 5});
  return fine.size() > 10 ? fill({1}) : fine;
}

std::string ToSvg(const LineChart& chart) {
  std::vector<double> xs, ys;
  for (const Series& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      if (!Fits(chart.x, x) || !Fits(chart.y, y)) continue;
      xs.push_back(x);
      ys.push_back(y);
    }
  }
  const Scale x(chart.x, xs, kLeft, kRight), y(chart.y, ys, kBottom, kTop);
  std::string svg = Open(chart.title) + YAxis(y, chart.y.label) + XAxis(x, chart.x.label);
  for (size_t i = 0; i < chart.series.size(); ++i) {
    svg += Curve(chart.series[i], i, x, y, chart.markers) + Legend(i, chart.series[i].name);
  }
  return svg + (xs.empty() ? NoData() : "") + "</svg>\n";
}

std::string ToSvg(const BarChart& chart) {
  std::vector<double> all;
  for (const auto& bars : chart.values) all.insert(all.end(), bars.begin(), bars.end());
  const Scale y(chart.y, all, kBottom, kTop);
  std::string svg = Open(chart.title) + YAxis(y, chart.y.label);
  const double group_width = (kRight - kLeft) / std::max<double>(1, static_cast<double>(chart.groups.size()));
  const double bar_width = group_width * 0.8 / std::max<double>(1, static_cast<double>(chart.series.size()));
  for (size_t g = 0; g < chart.groups.size(); ++g) {
    const double left = kLeft + group_width * (static_cast<double>(g) + 0.1);
    for (size_t s = 0; s < chart.series.size() && s < chart.values.size(); ++s) {
      if (g >= chart.values[s].size() || !y.Shows(chart.values[s][g])) continue;
      const double value = chart.values[s][g], x = left + bar_width * static_cast<double>(s);
      const double top = std::min(y(value), y(y.base())), bottom = std::max(y(value), y(y.base()));
      absl::StrAppendFormat(&svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, top,
                            bar_width * 0.92, bottom - top, Colour(s));
      const std::string label = chart.y.percent ? absl::StrFormat("%.0f", value * 100) : absl::StrFormat("%.3g", value);
      svg += Text(x + bar_width * 0.46, top - 4, label, {.size = 10});
    }
    svg += Text(left + group_width * 0.4, kBottom + 19, chart.groups[g]);
  }
  svg += Line(kLeft, kBottom, kRight, kBottom, "#666666");
  for (size_t s = 0; s < chart.series.size(); ++s) svg += Legend(s, chart.series[s]);
  return svg + (all.empty() ? NoData() : "") + "</svg>\n";
}

}  // namespace stepcast::simulate

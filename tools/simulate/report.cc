#include "tools/simulate/report.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/status_macros.h"
#include "tools/simulate/svg_chart.h"

namespace stepcast::simulate {
namespace {

using Json = nlohmann::ordered_json;

std::string Cells(const std::string& name, const Summary& s) {
  return absl::StrFormat("%-22s%7d%8.3f%9.3f%9.3f%9.3f%9.3f%7.1f%8.3f%7d", name, s.jobs, s.throughput, s.mean, s.p50,
                         s.p95, s.p99, s.attainment * 100, s.goodput, s.dropped);
}

Json JsonOf(const Summary& s) {
  return {{"jobs", s.jobs},
          {"finished", s.finished},
          {"dropped", s.dropped},
          {"cancelled", s.cancelled},
          {"throughput", s.throughput},
          {"mean_s", s.mean},
          {"p50_s", s.p50},
          {"p95_s", s.p95},
          {"p99_s", s.p99},
          {"stretch", s.stretch},
          {"attainment", s.attainment},
          {"goodput", s.goodput},
          {"wasted_steps", s.wasted_steps}};
}

// Names of the policies, in the order in which they first come.
std::vector<std::string> PoliciesOf(const std::vector<SweepPoint>& points) {
  std::vector<std::string> policies;
  for (const SweepPoint& point : points) {
    if (std::find(policies.begin(), policies.end(), point.policy) == policies.end()) policies.push_back(point.policy);
  }
  return policies;
}

using Value = std::function<double(const SweepPoint&)>;

// One curve for each policy over the points that `chosen` likes.
std::vector<Series> Curves(const std::vector<SweepPoint>& points, const Value& x, const Value& y,
                           const std::function<bool(const SweepPoint&)>& chosen) {
  std::vector<Series> curves;
  for (const std::string& policy : PoliciesOf(points)) {
    curves.push_back({.name = policy});
    for (const SweepPoint& point : points) {
      if (point.policy == policy && chosen(point)) curves.back().points.emplace_back(x(point), y(point));
    }
  }
  return curves;
}

std::vector<Series> Distributions(const std::vector<SweepPoint>& points,
                                  const std::function<bool(const SweepPoint&)>& chosen) {
  constexpr size_t kSteps = 200;  // as fine as the picture
  std::vector<Series> curves;
  for (const SweepPoint& point : points) {
    if (!chosen(point)) continue;
    curves.push_back({.name = point.policy, .steps = true});
    // Over all jobs: what was dropped never arrives, and the curve stays below 1.
    const double share = point.summary.all.jobs == 0 ? 0.0
                                                     : static_cast<double>(point.summary.all.finished) /
                                                           static_cast<double>(point.summary.all.jobs);
    for (size_t i = 0; i <= kSteps; ++i) {
      const double part = static_cast<double>(i) / kSteps;
      curves.back().points.emplace_back(Percentile(point.summary.latencies, part), part * share);
    }
  }
  return curves;
}

const Axis kSeconds{.label = "seconds", .logarithmic = true};
const Axis kInTime{.label = "finished in time", .percent = true};

double InTime(const SweepPoint& point) { return point.summary.all.attainment; }

}  // namespace

std::string ToText(const std::vector<SweepPoint>& points) {
  std::string text =
      absl::StrFormat("%-22s%7s%8s%9s%9s%9s%9s%7s%8s%7s%6s%6s%6s\n", "policy  req/s  devices", "jobs", "done/s",
                      "mean s", "p50 s", "p95 s", "p99 s", "in t.%", "good/s", "drops", "occ.%", "pad%", "busy%");
  for (const SweepPoint& point : points) {
    const RunSummary& s = point.summary;
    const std::string name = absl::StrFormat("%-14s%6.3g%2d", point.policy.substr(0, 13), point.rate, point.devices);
    absl::StrAppendFormat(&text, "%s%6.0f%6.0f%6.0f\n", Cells(name, s.all), s.occupancy * 100, s.row_waste * 100,
                          s.utilisation * 100);
    for (const auto* groups : {&s.by_priority, &s.by_tenant}) {
      if (groups->size() < 2) continue;
      for (const auto& [group, summary] : *groups) {
        absl::StrAppend(&text, Cells(absl::StrCat("  ", group.empty() ? "(no tenant)" : group.substr(0, 19)), summary),
                        "\n");
      }
    }
  }
  return text;
}

std::string ToJson(const std::string& device, const std::vector<SweepPoint>& points) {
  Json json;
  json["version"] = 1;
  json["device"] = device;
  json["points"] = Json::array();
  for (const SweepPoint& point : points) {
    const RunSummary& s = point.summary;
    Json one = {{"policy", point.policy},        {"rate", point.rate},
                {"devices", point.devices},      {"all", JsonOf(s.all)},
                {"by_priority", Json::object()}, {"by_tenant", Json::object()},
                {"occupancy", s.occupancy},      {"row_waste", s.row_waste},
                {"utilisation", s.utilisation},  {"prediction_error_p50", s.prediction_p50}};
    for (const auto& [name, summary] : s.by_priority) one["by_priority"][name] = JsonOf(summary);
    for (const auto& [name, summary] : s.by_tenant) one["by_tenant"][name] = JsonOf(summary);
    json["points"].push_back(std::move(one));
  }
  return json.dump(2);
}

std::vector<Plot> Plots(const std::vector<SweepPoint>& points, const std::vector<double>& loads) {
  std::set<double> rates;
  std::set<int> devices;
  for (const SweepPoint& point : points) {
    rates.insert(point.rate);
    devices.insert(point.devices);
  }
  if (points.empty()) return {};
  const bool by_load = loads.size() == rates.size();
  const Value rate = [&](const SweepPoint& point) {
    if (!by_load) return point.rate;
    return loads[static_cast<size_t>(std::distance(rates.begin(), rates.find(point.rate)))];
  };
  const Value count = [](const SweepPoint& point) { return point.devices; };
  const auto most_devices = [&](const SweepPoint& point) { return point.devices == *devices.rbegin(); };
  const auto highest_rate = [&](const SweepPoint& point) { return point.rate == *rates.rbegin(); };
  const Axis offered{.label = by_load ? "load" : "offered requests a second", .from_zero = false};
  std::vector<Plot> plots;
  const auto add = [&](const std::string& name, const std::string& title, const Axis& x, const Axis& y,
                       std::vector<Series> series, bool markers = true) {
    plots.push_back(
        {name, ToSvg(LineChart{.title = title, .x = x, .y = y, .series = std::move(series), .markers = markers})});
  };
  if (rates.size() > 1) {
    const Value mean = [](const SweepPoint& point) { return point.summary.all.mean; };
    const Value p99 = [](const SweepPoint& point) { return point.summary.all.p99; };
    add("mean_latency.svg", "Mean latency", offered, kSeconds, Curves(points, rate, mean, most_devices));
    add("p99_latency.svg", "99th percentile of latency", offered, kSeconds, Curves(points, rate, p99, most_devices));
    add("attainment.svg", "Finished by their deadlines", offered, kInTime, Curves(points, rate, InTime, most_devices));
  }
  if (devices.size() > 1) {
    add("attainment_by_devices.svg", "Finished by their deadlines", {.label = "devices", .from_zero = false}, kInTime,
        Curves(points, count, InTime, highest_rate));
  }
  add("distribution.svg", "Latency, as a share of all requests", {.label = "seconds", .logarithmic = true},
      {.label = "finished within", .percent = true},
      Distributions(points, [&](const SweepPoint& point) { return most_devices(point) && highest_rate(point); }),
      false);
  return plots;
}

absl::Status WritePlots(const std::string& folder, const std::vector<Plot>& plots) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make '", folder, "': ", error.message()));
  for (const Plot& plot : plots) {
    const std::string path = absl::StrCat(folder, "/", plot.name);
    std::ofstream file(path, std::ios::binary);
    file << plot.svg;
    file.close();
    if (!file) return absl::UnavailableError(absl::StrCat("cannot write '", path, "'"));
  }
  return absl::OkStatus();
}

}  // namespace stepcast::simulate

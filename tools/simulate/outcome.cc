#include "tools/simulate/outcome.h"

#include <algorithm>
#include <cmath>

namespace stepcast::simulate {
namespace {

std::vector<double> Latencies(const Outcome& outcome, const Selection& who) {
  std::vector<double> latencies;
  for (const Fate& fate : outcome.fates) {
    if (fate.painted() && who(fate)) latencies.push_back(fate.latency());
  }
  return latencies;
}

}  // namespace

bool Everybody(const Fate& /*fate*/) { return true; }

Selection OfClass(Priority priority) {
  return [priority](const Fate& fate) { return fate.arrival.priority == priority; };
}

Selection OfTenant(std::string tenant) {
  return [tenant = std::move(tenant)](const Fate& fate) { return fate.arrival.tenant == tenant; };
}

Outcome WithoutFirst(Outcome outcome, int count) {
  const auto drop = std::min(outcome.fates.size(), static_cast<size_t>(count));
  outcome.fates.erase(outcome.fates.begin(), outcome.fates.begin() + static_cast<std::ptrdiff_t>(drop));
  return outcome;
}

double MeanLatency(const Outcome& outcome, const Selection& who) {
  const std::vector<double> latencies = Latencies(outcome, who);
  double sum = 0.0;
  for (const double latency : latencies) sum += latency;
  return latencies.empty() ? 0.0 : sum / static_cast<double>(latencies.size());
}

double LatencyQuantile(const Outcome& outcome, double quantile, const Selection& who) {
  std::vector<double> latencies = Latencies(outcome, who);
  if (latencies.empty()) return 0.0;
  const auto last = static_cast<double>(latencies.size() - 1);
  const auto at = static_cast<size_t>(std::lround(std::ceil(quantile * last)));
  std::nth_element(latencies.begin(), latencies.begin() + static_cast<std::ptrdiff_t>(at), latencies.end());
  return latencies[at];
}

double Attainment(const Outcome& outcome, double multiple, const Selection& who) {
  int all = 0, in_time = 0;
  for (const Fate& fate : outcome.fates) {
    if (!who(fate)) continue;
    ++all;
    in_time += fate.InTime(multiple) ? 1 : 0;
  }
  return all == 0 ? 1.0 : static_cast<double>(in_time) / all;
}

double WastedShare(const Outcome& outcome, double multiple) {
  int64_t all = 0, wasted = 0;
  for (const Fate& fate : outcome.fates) {
    all += fate.evaluations;
    if (!fate.InTime(multiple)) wasted += fate.evaluations;
  }
  return all == 0 ? 0.0 : static_cast<double>(wasted) / static_cast<double>(all);
}

double Throughput(const Outcome& outcome, const Selection& who) {
  int64_t evaluations = 0;
  for (const Fate& fate : outcome.fates) {
    if (who(fate)) evaluations += fate.evaluations;
  }
  return outcome.end > 0.0 ? static_cast<double>(evaluations) / outcome.end : 0.0;
}

double HighestRate(const std::function<double(double)>& attainment, double wanted, double low, double high) {
  while (high / low > 1.01) {
    const double middle = std::sqrt(low * high);
    (attainment(middle) >= wanted ? low : high) = middle;
  }
  return low;
}

}  // namespace stepcast::simulate

#include "tools/simulate/sweep.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::simulate {
namespace {

absl::Status Check(const SweepOptions& options) {
  for (const std::string& policy : options.policies) {
    PolicyOptions one = options.run.policy;
    one.name = policy;
    STEPCAST_RETURN_IF_ERROR(MakePolicy(one).status());
  }
  for (const int devices : options.devices) {
    if (devices >= 1 && devices <= 1024) continue;
    return absl::InvalidArgumentError(absl::StrCat("devices: ", devices, " is not in 1..1024"));
  }
  if (!(options.run.noise >= 0.0 && options.run.noise <= 0.5)) {
    return absl::InvalidArgumentError(absl::StrCat("noise: ", options.run.noise, " is not in 0..0.5"));
  }
  const ExecutorLimits& limits = options.run.device.limits;
  if (limits.max_denoise_rows < 2 || limits.strict_rows < 0 || limits.strict_rows == 1) {
    return absl::InvalidArgumentError("rows: a tick must have room for a guided job, which is two rows");
  }
  return absl::OkStatus();
}

double OfferedRate(const std::vector<Arrival>& arrivals) {
  const double seconds = absl::ToDoubleSeconds(arrivals.back().at - arrivals.front().at);
  return seconds > 0.0 ? static_cast<double>(arrivals.size() - 1) / seconds : 0.0;
}

double Shares(const Mix& mix) {
  double shares = 0.0;
  for (const ClientClass& one : mix.classes) shares += one.share;
  return shares;
}

// Of a class that is `share` of the whole, 0..1.
int ArrivalsOf(const Mix& mix, double share) { return static_cast<int>(std::lround(share * mix.arrivals)); }

struct Offer {
  double rate;
  std::vector<std::vector<Arrival>> runs;  // one for each seed
};

std::vector<Offer> Offers(const SweepOptions& options) {
  std::vector<Offer> offers;
  if (!options.trace.empty()) offers.push_back({OfferedRate(options.trace), {options.trace}});
  for (const double rate : options.rates) {
    offers.push_back({rate, {}});
    for (const uint64_t seed : options.seeds) offers.back().runs.push_back(MakeArrivals(options.mix, rate, seed));
  }
  for (Offer& offer : offers) {
    for (std::vector<Arrival>& arrivals : offer.runs) {
      for (Arrival& arrival : arrivals) {
        if (arrival.deadline == 0.0 && arrival.due == absl::InfiniteDuration()) arrival.deadline = options.deadline;
      }
    }
  }
  return offers;
}

SweepPoint RunCell(const SweepOptions& options, const Offer& offer, int devices, const std::string& policy) {
  RunOptions run = options.run;
  run.policy.name = policy;
  run.devices = devices;
  std::vector<Outcome> outcomes;
  for (size_t i = 0; i < offer.runs.size(); ++i) {
    run.arrivals = offer.runs[i];
    run.noise_seed = i + 1;
    outcomes.push_back(Run(run));
  }
  const SummaryOptions summary{
      .devices = devices, .row_cap = run.device.limits.RowCap(Phase::kDenoise), .warm_up = options.warm_up};
  return {.policy = policy, .rate = offer.rate, .devices = devices, .summary = Summarize(outcomes, summary)};
}

}  // namespace

int CountArrivals(const Mix& mix) {
  const double shares = Shares(mix);
  int count = 0;
  for (const ClientClass& one : mix.classes) count += ArrivalsOf(mix, one.share / shares);
  return count;
}

std::vector<Arrival> MakeArrivals(const Mix& mix, double rate, uint64_t seed) {
  const double shares = Shares(mix);
  std::vector<Arrival> arrivals;
  for (size_t i = 0; i < mix.classes.size(); ++i) {
    const ClientClass& one = mix.classes[i];
    const double share = one.share / shares;
    TrafficOptions traffic{.seed = seed + 7919 * i,
                           .arrivals = ArrivalsOf(mix, share),
                           .rate = rate * share,
                           .burstiness = mix.burstiness,
                           .steps = one.steps,
                           .pattern = mix.pattern};
    traffic.pattern.priority = one.priority;
    traffic.pattern.tenant = one.tenant;
    arrivals = Merge(arrivals, MakeTraffic(traffic));
  }
  return arrivals;
}

double RateOfLoad(const Device& device, double load, const Mix& mix) {
  double shares = 0.0, steps = 0.0;
  for (const ClientClass& one : mix.classes) {
    shares += one.share;
    steps +=
        one.share * std::accumulate(one.steps.begin(), one.steps.end(), 0.0) / static_cast<double>(one.steps.size());
  }
  return load * 8.0 / (steps / shares * TickSeconds(device, 8));
}

absl::StatusOr<std::vector<SweepPoint>> Sweep(const SweepOptions& options) {
  STEPCAST_RETURN_IF_ERROR(Check(options));
  std::vector<SweepPoint> points;
  for (const Offer& offer : Offers(options)) {
    for (const int devices : options.devices) {
      for (const std::string& policy : options.policies) points.push_back(RunCell(options, offer, devices, policy));
    }
  }
  return points;
}

}  // namespace stepcast::simulate

#include "tools/simulate/acceptance.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/simulate/driver.h"
#include "tools/simulate/summary.h"

namespace stepcast::simulate {
namespace {

constexpr int kDropped = 300;
constexpr double kDeadline = 3.0;  // x isolated
// Jobs of one kind that follow each other without end repeat themselves long before that.
constexpr absl::Duration kSettled = absl::Minutes(10);
const std::vector<int>& Mix() {
  static const auto& mix = *new std::vector<int>{4, 8, 20, 30, 50};
  return mix;
}
const std::vector<int>& Twenty() {
  static const auto& twenty = *new std::vector<int>{20};
  return twenty;
}

// One kind of run, repeated over seeds.
struct Series {
  std::string policy;
  Device device;
  std::vector<int> steps;
  double deadline = 0.0;
  double noise = 0.0;
};

RunOptions OptionsOf(const Series& series, double rate, uint64_t seed, int arrivals) {
  RunOptions options;
  options.policy.name = series.policy;
  options.device = series.device;
  options.arrivals = MakeTraffic({.seed = seed,
                                  .arrivals = arrivals,
                                  .rate = rate,
                                  .steps = series.steps,
                                  .pattern = {.deadline = series.deadline}});
  options.admission = series.deadline > 0.0 && series.policy == "slo";
  options.noise = series.noise;
  options.noise_seed = seed;
  return options;
}

template <typename Measure>
double MeanOf(const Series& series, double rate, const AcceptanceOptions& options, Measure measure) {
  double sum = 0.0;
  for (int seed = 1; seed <= options.seeds; ++seed) {
    RunOptions run = OptionsOf(series, rate, static_cast<uint64_t>(seed), options.arrivals);
    run.wall = options.wall;
    sum += measure(WithoutFirst(Run(run), kDropped));
  }
  return sum / options.seeds;
}

double Mean(const Series& series, double load, const AcceptanceOptions& options) {
  return MeanOf(series, RateAt(series.device, load, series.steps), options,
                [](const Outcome& outcome) { return MeanLatency(outcome); });
}

double Goodput(const Series& series, const AcceptanceOptions& options) {
  const double full = RateAt(series.device, 1.0, series.steps);
  const auto attainment = [&](double rate) {
    return MeanOf(series, rate, options, [](const Outcome& outcome) { return Attainment(outcome, kDeadline); });
  };
  return HighestRate(attainment, 0.9, 0.02 * full, 1.5 * full);
}

Device Curve(const char* name) { return *BuiltInDevice(name); }

// Books each tenant's share of every tick, minute by minute.
class MinuteBooks final : public SchedulerObserver {
 public:
  void OnSubmit(const Job& job, absl::Time) override {
    tenants_[job.id()] = job.request().tenant;
    rows_[job.id()] = job.rows();
  }
  void OnLeave(JobId, const absl::Status&, absl::Time) override {}
  void OnPlan(const StepPlan&, absl::Time now) override { start_ = now; }
  void OnComplete(const StepPlan& plan, absl::Span<const StepResult>, absl::Time now) override {
    const auto minute = static_cast<size_t>((now - absl::UnixEpoch()) / absl::Minutes(1));
    minutes_.resize(std::max(minutes_.size(), minute + 1));
    const double row = absl::ToDoubleSeconds(now - start_) / plan.rows;
    for (const JobId id : plan.jobs) {
      minutes_[minute].all += row * rows_[id];
      if (tenants_[id] == "heavy") minutes_[minute].heavy += row * rows_[id];
    }
  }

  // The largest distance of a whole minute's share from `share`, in points. The first minute fills the device.
  double WorstMinute(double share) const {
    double worst = 0.0;
    for (size_t i = 1; i + 1 < minutes_.size(); ++i) {
      worst = std::max(worst, std::abs(minutes_[i].heavy / minutes_[i].all - share));
    }
    return 100.0 * worst;
  }

 private:
  struct Minute {
    double all = 0.0;
    double heavy = 0.0;
  };
  absl::flat_hash_map<JobId, std::string> tenants_;
  absl::flat_hash_map<JobId, int> rows_;
  std::vector<Minute> minutes_;
  absl::Time start_;
};

}  // namespace

std::string Claim::ToString() const {
  return absl::StrFormat("%-5s %-78s %9.3f  %s %.3f", holds() ? "ok" : "FAILS", name, measured,
                         at_most ? "<=" : ">=", bound);
}

std::vector<Claim> MeanLatencyClaims(const AcceptanceOptions& options) {
  std::vector<Claim> claims;
  for (const double load : {0.6, 0.7, 0.8}) {
    const double slo = Mean({"slo", Curve("L"), Mix()}, load, options);
    const double fifo = Mean({"fifo", Curve("L"), Mix()}, load, options);
    const double whole = Mean({"request_level", Curve("L"), Mix()}, load, options);
    claims.push_back(
        {absl::StrFormat("L mix, load %.1f: mean latency of request_level / slo", load), whole / slo, 1.8});
    claims.push_back({absl::StrFormat("L mix, load %.1f: mean latency of fifo / slo", load), fifo / slo, 1.0});
  }
  for (const double load : {0.6, 0.8}) {
    const double slo = Mean({"slo", Curve("C"), Twenty()}, load, options);
    const double serial = Mean({"serial", Curve("C"), Twenty()}, load, options);
    const double whole = Mean({"request_level", Curve("C"), Twenty()}, load, options);
    claims.push_back({absl::StrFormat("C 20 steps, load %.1f: mean of the better of serial, request_level / slo", load),
                      std::min(serial, whole) / slo, 0.98});
  }
  return claims;
}

std::vector<Claim> GoodputClaims(const AcceptanceOptions& options) {
  std::vector<Claim> claims;
  const double on_l = Goodput({"slo", Curve("L"), Mix(), kDeadline}, options);
  claims.push_back(
      {"L mix: goodput of slo / request_level", on_l / Goodput({"request_level", Curve("L"), Mix()}, options), 6.0});
  claims.push_back({"L mix: goodput of slo / fifo", on_l / Goodput({"fifo", Curve("L"), Mix()}, options), 1.1});
  const double on_c = Goodput({"slo", Curve("C"), Twenty(), kDeadline}, options);
  claims.push_back({"C 20 steps: goodput of slo / request_level",
                    on_c / Goodput({"request_level", Curve("C"), Twenty()}, options), 1.3});
  claims.push_back(
      {"C 20 steps: goodput of slo / serial", on_c / Goodput({"serial", Curve("C"), Twenty()}, options), 1.15});
  return claims;
}

std::vector<Claim> OverloadClaims(const AcceptanceOptions& options) {
  std::vector<Claim> claims;
  std::vector<double> refusals;
  for (const char* name : {"L", "S", "C"}) {
    for (const double noise : {0.0, 0.1}) {
      const Device device = Curve(name);
      const double rate = RateAt(device, 1.5, Mix());
      double attained = 0.0, wasted = 0.0;
      MeanOf({"slo", device, Mix(), kDeadline, noise}, rate, options, [&](const Outcome& outcome) {
        attained += Attainment(outcome, kDeadline) / options.seeds;
        wasted += WastedShare(outcome, kDeadline) / options.seeds;
        refusals.insert(refusals.end(), outcome.refusals.begin(), outcome.refusals.end());
        return 0.0;
      });
      const double fifo = MeanOf({"fifo", device, Mix(), kDeadline, noise}, rate, options,
                                 [](const Outcome& outcome) { return Attainment(outcome, kDeadline); });
      const std::string where = absl::StrFormat("%s mix, 1.5 x overload, noise %2.0f %%: ", name, 100 * noise);
      claims.push_back({absl::StrCat(where, "attainment of slo - fifo, points"), 100 * (attained - fifo), 25.0});
      claims.push_back({absl::StrCat(where, "evaluations of late jobs, %"), 100 * wasted, 2.0, /*at_most=*/true});
    }
  }
  if (options.wall != nullptr) {
    std::sort(refusals.begin(), refusals.end());
    claims.push_back({"1.5 x overload: p99 of the time in which a refusal is decided, ms",
                      1000 * Percentile(refusals, 0.99), 10.0, /*at_most=*/true});
  }
  return claims;
}

std::vector<Claim> InteractiveClaims(const AcceptanceOptions& options) {
  struct Case {
    const char* curve;
    double deadline;
  };
  std::vector<Claim> claims;
  for (const Case& c : {Case{"L", 1.3}, Case{"S", 2.0}, Case{"C", 2.5}}) {
    RunOptions run;
    run.device = Curve(c.curve);
    run.backlogs = {{.live = 16, .pattern = {.steps = 30, .priority = Priority::kBatch}}};
    run.admission = true;
    run.until = kSettled;
    const double alone = Throughput(Run(run));
    double in_time = 0.0, together = 0.0;
    for (int seed = 1; seed <= options.seeds; ++seed) {
      run.arrivals = MakeTraffic({.seed = static_cast<uint64_t>(seed),
                                  .arrivals = options.arrivals,
                                  .rate = 0.1 * 8 / (20 * TickSeconds(run.device, 8)),
                                  .steps = Twenty(),
                                  .pattern = {.priority = Priority::kInteractive, .deadline = c.deadline}});
      run.until = run.arrivals.back().at;
      const Outcome outcome = Run(run);
      in_time += Attainment(outcome, c.deadline, [&](const Fate& fate) {
        return fate.arrival.priority == Priority::kInteractive && fate.finished < outcome.end;
      });
      together += Throughput(outcome, OfClass(Priority::kBatch)) / options.seeds;
    }
    const std::string where = absl::StrCat(c.curve, ", batch jobs without end: ");
    claims.push_back({absl::StrFormat("%sinteractive within %.1f x isolated, %%", where, c.deadline),
                      100 * in_time / options.seeds, 99.0});
    claims.push_back({absl::StrCat(where, "batch throughput, % of what it has alone"), 100 * together / alone, 60.0});
  }
  return claims;
}

std::vector<Claim> TenantClaims(const AcceptanceOptions& options) {
  std::vector<Claim> claims;
  for (const char* name : {"L", "S", "C"}) {
    double worst = 0.0;
    for (int seed = 1; seed <= options.seeds; ++seed) {
      MinuteBooks books;
      RunOptions run;
      run.device = Curve(name);
      run.tenant_weights = {{"heavy", 3.0}, {"light", 1.0}};
      run.backlogs = {{.live = 16, .pattern = {.steps = 30, .tenant = "heavy"}},
                      {.live = 16, .pattern = {.steps = 8 + 10 * seed, .tenant = "light"}}};
      run.until = absl::Minutes(15);
      run.observer = &books;
      Run(run);
      worst = std::max(worst, books.WorstMinute(0.75));
    }
    claims.push_back(
        {absl::StrCat(name, ", tenants of weights 3 and 1: worst minute, points off the share"), worst, 1.0, true});
  }
  return claims;
}

}  // namespace stepcast::simulate

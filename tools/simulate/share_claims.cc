#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/simulate/acceptance.h"
#include "tools/simulate/driver.h"

namespace stepcast::simulate {
namespace {

constexpr double kGold = 2.0;  // requests a second

// Who shares the device with gold.
struct Crowd {
  const char* what;
  int names;
  bool configured;
};

// What one seed and rate showed.
struct Showing {
  double refused = 0.0;      // of gold
  double gold_median = 0.0;  // seconds
  double kept = 1.0;         // of iron's promises
};

std::vector<Arrival> Iron(const Crowd& crowd, double rate, int arrivals, uint64_t seed, Priority priority) {
  std::vector<Arrival> iron = MakeTraffic({.seed = seed + 1'000,
                                           .arrivals = arrivals,
                                           .rate = rate,
                                           .steps = {20},
                                           .pattern = {.priority = priority, .due = absl::Seconds(2)}});
  Random random(seed);
  for (Arrival& arrival : iron) arrival.tenant = absl::StrCat("iron", random.Below(crowd.names));
  return iron;
}

RunOptions SceneOf(const Crowd& crowd, double rate, const AcceptanceOptions& options, uint64_t seed, bool urgent) {
  RunOptions run;
  run.device = BuiltInDevice("Q").value();
  run.admission = true;
  run.tenant_weights["gold"] = 5.0;
  for (int i = 0; crowd.configured && i < crowd.names; ++i) run.tenant_weights[absl::StrCat("iron", i)] = 1.0;
  const double seconds = options.arrivals / (rate + kGold);
  run.arrivals =
      MakeTraffic({.seed = seed,
                   .arrivals = static_cast<int>(seconds * kGold),
                   .rate = kGold,
                   .steps = {20},
                   .pattern = {.priority = urgent ? Priority::kInteractive : Priority::kStandard, .tenant = "gold"}});
  if (rate == 0.0) return run;
  run.arrivals = Merge(run.arrivals, Iron(crowd, rate, static_cast<int>(seconds * rate), seed,
                                          urgent ? Priority::kBatch : Priority::kStandard));
  return run;
}

Showing Look(const RunOptions& run) {
  const Outcome outcome = Run(run);
  Showing showing;
  int gold = 0, refused = 0, promised = 0, kept = 0;
  for (const Fate& fate : outcome.fates) {
    if (fate.arrival.tenant == "gold") {
      ++gold;
      refused += fate.admitted ? 0 : 1;
    } else if (fate.admitted) {
      ++promised;
      kept += fate.painted() && fate.latency() <= fate.due ? 1 : 0;
    }
  }
  showing.refused = static_cast<double>(refused) / gold;
  showing.gold_median = LatencyQuantile(outcome, 0.5, OfTenant("gold"));
  if (promised > 0) showing.kept = static_cast<double>(kept) / promised;
  return showing;
}

}  // namespace

std::vector<Claim> ShareClaims(const AcceptanceOptions& options) {
  std::vector<Claim> claims;
  for (const bool urgent : {false, true}) {
    for (const Crowd& crowd :
         {Crowd{"one iron", 1, true}, Crowd{"three irons", 3, true}, Crowd{"fifty names", 50, false}}) {
      double refused = 0.0, slower = 0.0, kept = 1.0;
      for (const double rate : {6.0, 9.0, 15.0, 40.0}) {
        double refused_here = 0.0, with = 0.0, reference = 0.0, kept_here = 0.0;
        for (uint64_t seed = 1; seed <= static_cast<uint64_t>(options.seeds); ++seed) {
          const Showing showing = Look(SceneOf(crowd, rate, options, seed, urgent));
          refused_here += showing.refused / options.seeds;
          kept_here += showing.kept / options.seeds;
          with += showing.gold_median;
          RunOptions other =
              urgent ? SceneOf(crowd, 0.0, options, seed, urgent) : SceneOf(crowd, rate, options, seed, urgent);
          other.admission = false;
          reference += Look(other).gold_median;
        }
        refused = std::max(refused, refused_here);
        slower = std::max(slower, with / reference);
        kept = std::min(kept, kept_here);
      }
      const std::string where =
          absl::StrCat("gold", urgent ? ", interactive," : "", " beside ", crowd.what, urgent ? " of batch: " : ": ");
      claims.push_back({absl::StrCat(where, "gold refused, %"), 100 * refused, 1.0, /*at_most=*/true});
      claims.push_back({absl::StrCat(where, urgent ? "gold's median / alone" : "gold's median / without admission"),
                        slower, urgent ? 1.5 : 1.1, /*at_most=*/true});
      claims.push_back({absl::StrCat(where, "iron's admitted ones in time, %"), 100 * kept, 98.0});
    }
  }
  return claims;
}

}  // namespace stepcast::simulate

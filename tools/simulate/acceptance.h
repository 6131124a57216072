#pragma once
// What the slo policy must show, measured. docs/scheduling.md explains the claims.

#include <string>
#include <vector>

#include "core/clock.h"

namespace stepcast::simulate {

// One claim. It holds when `measured` is at least `bound` (or at most, if `at_most`).
struct Claim {
  std::string name;
  double measured = 0.0;
  double bound = 0.0;
  bool at_most = false;

  bool holds() const { return at_most ? measured <= bound : measured >= bound; }
  // "ok    L mix, load 0.8: mean of request_level / mean of slo    2.59  >= 1.80"
  std::string ToString() const;
};

struct AcceptanceOptions {
  int seeds = 3;  // per measurement, 1..
  int arrivals = 3'300;
  const Clock* wall = nullptr;  // set: claims about the time of the machine are measured, too
};

// Each runs some of the claims. Curves L, S, C: BuiltInDevice. Mix: 4, 8, 20, 30 or 50 steps, equally likely. Load:
// rate x E[steps] x t(8) / 8. Isolated: steps x t(1). The first 300 arrivals are dropped.
std::vector<Claim> MeanLatencyClaims(const AcceptanceOptions& options);
// Goodput: the highest rate, by bisection, at which 90 % finish within 3 x isolated. slo is told that deadline and
// refuses or drops; the others take everybody and drop nobody, as they do without one.
std::vector<Claim> GoodputClaims(const AcceptanceOptions& options);
// 1.5 x overload, a deadline of 3 x isolated; fifo drops at the deadline. With and without 10 % noise on every tick.
// With a wall clock also the 99th percentile of what a refusal takes to decide, over all runs of slo, once its device
// reads it, which is between two ticks. The very longest may be the machine's fault.
std::vector<Claim> OverloadClaims(const AcceptanceOptions& options);
// Sixteen batch jobs of 30 steps always live, interactive jobs of 20 steps at a tenth of 8 / (20 t(8)).
std::vector<Claim> InteractiveClaims(const AcceptanceOptions& options);
// Two tenants with sixteen jobs always live, weights 3 and 1: tumbling windows of a minute.
std::vector<Claim> TenantClaims(const AcceptanceOptions& options);
// 32 cold prompts and 16 finished latents at once while four jobs run. A gap lies between two denoise ticks of the same
// one of the four; a quantum is twice its last tick or one decode.
std::vector<Claim> PhaseClaims();
// 12,600 jobs of the mix, of which 12,000 leave within two minutes if they are not done; curve L.
std::vector<Claim> CancelClaims();

// Gold (weight 5, 2 requests a second, no deadlines) beside iron (weight 1, 6 to 40 a second, 2 s each to be done): one
// tenant, three, or fifty names that nobody configured; of the same class, and gold interactive beside batch. Curve Q,
// 20 steps, admission. The worst of the rates is told; nothing is dropped from the start.
std::vector<Claim> ShareClaims(const AcceptanceOptions& options);
// Gamma arrivals (CV^2 4), tenants of weights 5, 2, 1, steps of 10, 20, 30, some with a deadline of 2 s; curve Q. In
// time: painted by the client's deadline, or, without one, painted. slo with admission beside the better of fifo and
// slo without.
std::vector<Claim> BurstClaims(const AcceptanceOptions& options);
// Seven of ten arrivals interactive (20 or 30 steps), three batch (50), each to be done within 4 x isolated; gamma
// arrivals (CV^2 4); curve S; one, four and five devices. What it costs to promise batch work only what is likely.
std::vector<Claim> ErrandClaims(const AcceptanceOptions& options);

}  // namespace stepcast::simulate

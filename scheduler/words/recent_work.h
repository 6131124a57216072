#pragma once
// Work that came lately.

#include <algorithm>
#include <cmath>

namespace stepcast {

// An average that fades: what came kMemory ago counts 1/e.
class RecentWork {
 public:
  static constexpr double kMemory = 10.0;  // seconds

  // Times are seconds since the Unix epoch and do not go back.
  void Add(double work, double now) {
    sum_ = Faded(now);
    // After so long nothing is left to speak of, and the average starts anew.
    if (now - newest_ > 5.0 * kMemory) since_ = now;
    newest_ = now;
    sum_ += work;
  }

  // Work a second. Whoever came a moment ago is averaged over a second at least.
  double Rate(double now) const {
    if (sum_ == 0.0) return 0.0;
    return Faded(now) / (kMemory * (1.0 - std::exp(-std::max(now - since_, 1.0) / kMemory)));
  }

 private:
  double Faded(double now) const { return sum_ == 0.0 ? 0.0 : sum_ * std::exp((newest_ - now) / kMemory); }

  double sum_ = 0.0;
  double newest_ = -1e300;
  double since_ = 0.0;
};

}  // namespace stepcast

#pragma once
// How much of something may be had in the long run, and how much at once.

#include <algorithm>

#include "absl/time/time.h"

namespace stepcast {

struct BucketRate {
  double per_second = 0.0;  // > 0
  double burst = 1.0;       // > 0

  friend bool operator==(const BucketRate&, const BucketRate&) = default;
};

// Begins full. It may be overdrawn: what was used is known afterwards only.
//
// Thread-safety: none.
class TokenBucket {
 public:
  TokenBucket(const BucketRate& rate, absl::Time now) : rate_(rate), level_(rate.burst), at_(now) {}

  // From now on another rate; what was used is used.
  void SetRate(const BucketRate& rate, absl::Time now) {
    Fill(now);
    level_ = std::min(level_ + rate.burst - rate_.burst, rate.burst);
    rate_ = rate;
  }

  // How long until `amount` is there; zero: it is. REQUIRES: amount <= burst.
  absl::Duration Until(double amount, absl::Time now) {
    Fill(now);
    // What is missing by rounding is there.
    constexpr double kRounding = 1e-9;
    const double missing = amount - level_;
    return missing <= kRounding * rate_.burst ? absl::ZeroDuration() : absl::Seconds(missing / rate_.per_second);
  }

  void Take(double amount, absl::Time now) {
    Fill(now);
    level_ -= amount;
  }

  bool full(absl::Time now) {
    Fill(now);
    return level_ >= rate_.burst;
  }

 private:
  void Fill(absl::Time now) {
    if (now <= at_) return;
    level_ = std::min(rate_.burst, level_ + absl::ToDoubleSeconds(now - at_) * rate_.per_second);
    at_ = now;
  }

  BucketRate rate_;
  double level_;
  absl::Time at_;
};

}  // namespace stepcast

#include "scheduler/decide/policies/batch_shape.h"

#include <algorithm>
#include <limits>

namespace stepcast {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// Less urgent company must leave three times the reserve, and, if it makes the tick longer by more than a quarter,
// seven times: who is ahead of its time is off the device when the next urgent job comes.
constexpr double kLowerReserve = 2.0;
constexpr double kCostlyReserve = 6.0;

// What a last bit may make of a tick that just fits.
constexpr double kRounding = 1.0 + 1e-9;

}  // namespace

BatchShape::BatchShape(const CostModel& costs, const BatchKey& key, int limit, double now)
    : costs_(costs),
      key_(key),
      limit_(limit),
      now_(now),
      most_seconds_(kNoLimit),
      most_for_lower_(kNoLimit),
      undisturbed_(kNoLimit) {}

bool BatchShape::Add(const JobView& view, int own_rows, int evaluations) {
  const int rows = rows_ + own_rows;
  if (rows > limit_) return false;
  const double seconds = costs_.Seconds(key_, rows);
  const Priority priority = view.job->request().priority;
  const double most = priority > most_urgent_ ? most_for_lower_ : most_seconds_;
  if (rows_ > 0 && seconds > most * kRounding) return false;
  if (rows_ > 0 && priority > soft_class_ && seconds > kCostly * undisturbed_) return false;
  rows_ = rows;
  seconds_ = seconds;
  if (!view.firm && priority <= soft_class_) {
    soft_class_ = priority;
    undisturbed_ = seconds;
  }
  if (!view.firm || evaluations < 1) return true;
  // What it needs beside its evaluations; `alone` may count more of them than will be left.
  const double tick = costs_.Seconds(key_, own_rows);
  const double rest = std::max(0.0, view.alone - view.job->evaluations_here() * tick);
  const double allowed = (view.due - now_ - rest) / evaluations;
  if (allowed * kRounding < seconds) return true;
  const double wanted = (view.target - now_ - rest) / evaluations;
  most_seconds_ = std::min(most_seconds_, std::max(seconds, wanted));
  const double reserve = (view.due - view.target) / evaluations;
  const double cheap = std::min(kCostly * seconds, wanted - kLowerReserve * reserve);
  most_for_lower_ = std::min(most_for_lower_, std::max({seconds, cheap, wanted - kCostlyReserve * reserve}));
  most_urgent_ = std::min(most_urgent_, priority);
  return true;
}

}  // namespace stepcast

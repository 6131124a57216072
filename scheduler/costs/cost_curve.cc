#include "scheduler/costs/cost_curve.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>

namespace stepcast {
namespace {

constexpr double kWeight = 0.02;          // of a new measurement in the moving average
constexpr double kStaleWeight = 0.5;      // the same where the last measurement is that many observations old:
constexpr int64_t kStale = 100;           // what was seen once, long ago, may have been seen in a bad moment
constexpr double kOldShare = 0.001;       // of the say of such a point, where it and one that runs are not monotone
constexpr double kSlownessWeight = 0.04;  // the same in the slowness that all row counts share
constexpr double kLasting = 0.002;        // exponent of the slowness that moves into the average with each tick
constexpr double kOutlier = 2.0;          // how far from the expectation one measurement may pull
constexpr double kMostOfGuess = 4.0;      // the same where there was but a guess
constexpr double kKneeShare = 0.9;        // of the best rows per second
constexpr double kRounding = 1e-12;       // what a last bit may make of that share

}  // namespace

CostCurve::CostCurve(const std::vector<CostPoint>& points, bool measured) {
  std::map<int, double> by_rows;
  for (const CostPoint& point : points) {
    if (point.rows < 1 || point.cost < absl::ZeroDuration() || point.cost == absl::InfiniteDuration()) continue;
    by_rows[point.rows] = absl::ToDoubleSeconds(point.cost);
  }
  for (const auto& [rows, seconds] : by_rows) points_.push_back({rows, seconds, seconds, measured ? kGrown : 0});
  Fit();
}

double CostCurve::Seconds(int rows) const { return slowness_ * Shape(rows); }

double CostCurve::Shape(int rows) const {
  const auto next =
      std::lower_bound(points_.begin(), points_.end(), rows, [](const Point& p, int r) { return p.rows < r; });
  if (next != points_.end() && (next->rows == rows || next == points_.begin())) return next->fitted;
  if (points_.size() == 1) return points_.front().fitted * rows / points_.front().rows;
  const Point& right = next == points_.end() ? points_.back() : *next;
  const Point& left = next == points_.end() ? points_[points_.size() - 2] : *(next - 1);
  return left.fitted + (right.fitted - left.fitted) * (rows - left.rows) / (right.rows - left.rows);
}

void CostCurve::Observe(int rows, double seconds) {
  if (rows < 1 || !(seconds >= 0.0)) return;
  if (points_.empty()) {
    points_.push_back({rows, seconds, seconds, 1});
    return;
  }
  ++observations_;
  const double expected = Seconds(rows);
  Point& point = points_[PointFor(rows)];
  if (point.age == 0 || point.bounded || (point.age < kGrown && seconds < expected)) {
    Settle(point, seconds, expected);
  } else {
    const double bounded = expected > 0.0 ? std::clamp(seconds, expected / kOutlier, expected * kOutlier) : seconds;
    const double weight = observations_ - point.last > kStale ? kStaleWeight : kWeight;
    // Both learn from the same surprise. Were the average to learn from what the new slowness leaves of it, noise alone
    // would raise the slowness and lower the averages of the row counts that run: a third in 20,000 ticks.
    point.raw += weight * (bounded / slowness_ - point.raw);
    slowness_ *= 1.0 + kSlownessWeight * (expected > 0.0 ? bounded / expected - 1.0 : 0.0);
    const double lasting = std::pow(slowness_, kLasting);
    point.raw *= lasting;
    slowness_ /= lasting;
  }
  point.age = std::min(point.age + 1, kGrown);
  point.last = observations_;
  Fit();
}

// What a guess is off by, the other guesses are off by as well.
void CostCurve::Settle(Point& point, double seconds, double expected) {
  const double believed = expected > 0.0 ? std::min(seconds, kMostOfGuess * expected) : seconds;
  point.bounded = believed < seconds;
  const double ratio = expected > 0.0 ? believed / expected : 0.0;
  for (Point& other : points_) {
    if (!other.measured() && ratio > 0.0) other.raw *= ratio;
  }
  point.raw = believed / slowness_;
}

int CostCurve::Knee(int cap) const {
  int seen = 0;
  for (const Point& point : points_) {
    if (point.measured()) seen = point.rows;
  }
  const int knee = CalculatedKnee(cap);
  return seen < cap ? std::max(knee, std::min(cap, 2 * seen)) : knee;
}

int CostCurve::CalculatedKnee(int cap) const {
  std::vector<int> corners;
  for (const Point& point : points_) {
    if (point.rows < cap) corners.push_back(point.rows);
  }
  if (corners.empty() || corners.front() > 1) corners.insert(corners.begin(), 1);
  if (corners.back() < cap) corners.push_back(cap);
  const auto rate = [&](int rows) { return Shape(rows) > 0.0 ? rows / Shape(rows) : 0.0; };
  double best = 0.0;
  for (const int rows : corners) best = std::max(best, rate(rows));
  if (best <= 0.0) return cap;
  const double enough = kKneeShare * best * (1.0 - kRounding);
  for (size_t i = 0; i < corners.size(); ++i) {
    if (rate(corners[i]) < enough) continue;
    if (i == 0) return corners[i];
    // On a straight piece rows per second change in one direction only.
    int low = corners[i - 1], high = corners[i];
    while (high - low > 1) {
      const int middle = low + (high - low) / 2;
      (rate(middle) >= enough ? high : low) = middle;
    }
    return high;
  }
  return cap;
}

std::vector<CostPoint> CostCurve::Points() const {
  std::vector<CostPoint> points;
  points.reserve(points_.size());
  for (const Point& point : points_) points.push_back({point.rows, absl::Seconds(slowness_ * point.fitted)});
  return points;
}

std::vector<CostPoint> CostCurve::MeasuredPoints() const {
  std::vector<CostPoint> points;
  for (const Point& point : points_) {
    if (point.measured()) points.push_back({point.rows, absl::Seconds(point.fitted)});
  }
  return points;
}

// The point at `rows`; a new one begins where the curve passes.
size_t CostCurve::PointFor(int rows) {
  const auto next =
      std::lower_bound(points_.begin(), points_.end(), rows, [](const Point& p, int r) { return p.rows < r; });
  const auto at = static_cast<size_t>(next - points_.begin());
  if (next != points_.end() && next->rows == rows) return at;
  const double seconds = Shape(rows);
  // Between two measurements the line is as good as one.
  const bool between = next != points_.end() && next != points_.begin() && next->measured() && (next - 1)->measured();
  points_.insert(next, {rows, seconds, seconds, between ? kGrown : 0});
  return at;
}

// Pools adjacent violators: the monotone curve with the least squared distance from the averages. What has not run for
// long has little say, so that the curve says of the row counts that run what they take.
void CostCurve::Fit() {
  struct Pool {
    double mean;
    double weight;
    size_t points;
  };
  std::vector<Pool> pools;
  for (const Point& point : points_) {
    pools.push_back({point.raw, observations_ - point.last > kStale ? kOldShare : 1.0, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean > pools.back().mean) {
      const Pool last = pools.back();
      pools.pop_back();
      Pool& into = pools.back();
      const double total = into.weight + last.weight;
      into.mean = (into.mean * into.weight + last.mean * last.weight) / total;
      into.weight = total;
      into.points += last.points;
    }
  }
  size_t at = 0;
  for (const Pool& pool : pools) {
    for (size_t i = 0; i < pool.points; ++i) points_[at++].fitted = pool.mean;
  }
}

}  // namespace stepcast

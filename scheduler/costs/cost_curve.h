#pragma once
// How long a tick takes by its rows: one measured curve.

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace stepcast {

// One measurement: a tick of `rows` forward rows takes `cost`.
struct CostPoint {
  int rows = 1;
  absl::Duration cost;

  friend bool operator==(const CostPoint&, const CostPoint&) = default;
};

// A monotone curve through measurements, refined while it is used. Between two points it is a straight line, below
// the first it is flat, above the last it goes on with the slope of the last piece (in proportion where there is
// but one point).
//
// Thread-safety: none.
class CostCurve {
 public:
  // Points may come in any order; rows < 1 and negative or infinite costs are left out, of several with equal rows
  // the last one counts. `measured`: false for a guess taken from a neighbour.
  explicit CostCurve(const std::vector<CostPoint>& points, bool measured = true);

  bool empty() const { return points_.empty(); }

  // Seconds of a tick with `rows` >= 1 rows. REQUIRES: not empty.
  double Seconds(int rows) const;

  // Takes note of one tick. What the tick is off by counts first for the slowness of the machine, which all row counts
  // share, then for the shape of the curve: a busy minute makes every tick longer, and no batch size better. The shape
  // is a moving average at each row count, quick where the last measurement is long ago; a slowness that lasts goes
  // over into the averages of the row counts that run. A measurement beyond twice or half of what was expected counts
  // as that, so that one stall does not shift the plans of the next minute.
  //
  // The first measurement of a guess counts whole, up to four times what was expected at once, and so do the next few
  // if they are shorter: whatever disturbs a tick makes it longer. The other guesses follow in proportion.
  void Observe(int rows, double seconds);

  // Forgets the slowness: what a busy minute said is no news after a pause.
  void Rest() { slowness_ = 1.0; }

  // The smallest row count up to `cap` whose rows per second reach 90 % of the best up to `cap`; `cap` where ticks
  // cost nothing. While nothing larger than `n` rows was measured at least 2 n: what larger ticks cost is then a guess
  // that one of them will settle.
  int Knee(int cap) const;

  // The curve as it stands, by rows.
  std::vector<CostPoint> Points() const;

  // What was measured of it, as after a rest.
  std::vector<CostPoint> MeasuredPoints() const;

 private:
  struct Point {
    int rows;
    double raw;            // average of what was measured, seconds at slowness 1
    double fitted;         // the nearest monotone curve
    int age;               // measurements; 0: a guess; counted up to kGrown
    int64_t last = 0;      // observation of the curve that was the last one here
    bool bounded = false;  // it was more than a guess can be off by: the next one counts whole as well

    bool measured() const { return age > 0; }
  };

  static constexpr int kGrown = 4;

  double Shape(int rows) const;  // seconds at slowness 1
  void Settle(Point& point, double seconds, double expected);
  int CalculatedKnee(int cap) const;
  size_t PointFor(int rows);
  void Fit();

  std::vector<Point> points_;  // by rows
  double slowness_ = 1.0;      // of the machine, now, against what the points know
  int64_t observations_ = 0;
};

}  // namespace stepcast

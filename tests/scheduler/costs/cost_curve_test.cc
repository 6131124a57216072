#include "scheduler/costs/cost_curve.h"

#include <gtest/gtest.h>

#include <limits>

namespace stepcast {
namespace {

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }

// Launch-bound, rows of guided pairs: t(1 pair) .. t(16 pairs).
const std::vector<CostPoint> kLaunchBound = {{2, Ms(167)}, {4, Ms(183)},  {6, Ms(186)},
                                             {8, Ms(240)}, {16, Ms(425)}, {32, Ms(832)}};

TEST(CostCurveTest, GoesStraightBetweenPointsAndOnBeyondThem) {
  struct Case {
    std::vector<CostPoint> points;
    int rows;
    double milliseconds;
  };
  const Case cases[] = {
      {kLaunchBound, 1, 167},     // flat below the first
      {kLaunchBound, 2, 167},     //
      {kLaunchBound, 3, 175},     //
      {kLaunchBound, 12, 332.5},  //
      {kLaunchBound, 32, 832},    //
      {kLaunchBound, 48, 1239},   // with the last slope
      {{{4, Ms(40)}}, 8, 80},     // one point: in proportion
      {{{4, Ms(40)}}, 1, 40},
      {{{8, Ms(80)}, {2, Ms(20)}, {2, Ms(30)}}, 2, 30},  // any order, the last of equals counts
      {{{0, Ms(9)}, {2, Ms(20)}, {4, -Ms(1)}, {8, absl::InfiniteDuration()}}, 2, 20},
  };
  for (const Case& c : cases) EXPECT_NEAR(CostCurve(c.points).Seconds(c.rows) * 1e3, c.milliseconds, 1e-9) << c.rows;
  EXPECT_TRUE(CostCurve({{0, Ms(1)}}).empty());
}

TEST(CostCurveTest, IsMonotoneWhateverWasMeasured) {
  const CostCurve curve({{1, Ms(30)}, {2, Ms(20)}, {4, Ms(25)}, {8, Ms(5)}, {16, Ms(50)}});
  for (int rows = 2; rows <= 20; ++rows) EXPECT_GE(curve.Seconds(rows), curve.Seconds(rows - 1)) << rows;
  EXPECT_NEAR(curve.Seconds(1), 0.020, 1e-12) << "the mean of the four that contradict each other";
  EXPECT_NEAR(curve.Seconds(16), 0.050, 1e-12);
}

TEST(CostCurveTest, TheKneeIsWhereMoreRowsStopPaying) {
  struct Case {
    const char* name;
    std::vector<CostPoint> points;
    int cap, knee;
  };
  const Case cases[] = {
      {"launch bound: 90 % of 16 rows / 425 ms lies between 8 and 16", kLaunchBound, 16, 9},
      {"and between them again with a higher cap", kLaunchBound, 32, 10},
      {"a fixed part of 8 ms and 11 ms a row: 90 % of 16 / 184 ms", {{1, Ms(19)}, {16, Ms(184)}}, 16, 5},
      {"compute bound: one row is as good as any", {{1, Ms(100)}, {8, Ms(790)}}, 8, 1},
      {"flat: the more the better", {{1, Ms(100)}, {10, Ms(100)}}, 10, 9},
      {"free", {{1, Ms(0)}, {10, Ms(0)}}, 10, 10},
      {"one point: twice as many rows are worth a try", {{4, Ms(40)}}, 16, 8},
      {"and never more than the cap", {{4, Ms(40)}}, 6, 6},
      {"until they were seen not to pay", {{4, Ms(40)}, {8, Ms(90)}, {16, Ms(200)}}, 16, 4},
      {"more rows are slower per row", {{1, Ms(10)}, {2, Ms(12)}, {4, Ms(100)}}, 4, 2},
  };
  for (const Case& c : cases) EXPECT_EQ(CostCurve(c.points).Knee(c.cap), c.knee) << c.name;
}

TEST(CostCurveTest, MeasurementsOfEveryRowCountMoveItsAverage) {
  CostCurve curve({{2, Ms(100)}, {8, Ms(300)}});
  for (int i = 0; i < 150; ++i) {
    curve.Observe(2, 0.120);
    curve.Observe(8, 0.300);
  }
  // Two measurements that disagree about the slowness keep moving it a little.
  EXPECT_NEAR(curve.Seconds(2), 0.120, 0.003);
  EXPECT_NEAR(curve.Seconds(8), 0.300, 0.008);
}

TEST(CostCurveTest, ASlowerMachineIsSlowerAtEveryRowCount) {
  CostCurve curve({{2, Ms(14)}, {4, Ms(22)}, {8, Ms(40)}, {16, Ms(78)}});
  for (int i = 0; i < 90; ++i) curve.Observe(4, 0.033);  // half as long again
  EXPECT_NEAR(curve.Seconds(4), 0.033, 5e-4);
  EXPECT_GT(curve.Seconds(16), 1.25 * 0.078) << "of what one row count is off by, the others are off by most";
  for (int i = 0; i < 90; ++i) curve.Observe(16, 0.078);
  EXPECT_NEAR(curve.Seconds(16), 0.078, 1e-3);
}

// The other row counts were known from the start and do not run: noise tells nothing of them.
TEST(CostCurveTest, NoiseAtOneRowCountMovesNoOther) {
  CostCurve curve({{2, Ms(14)}, {16, Ms(78)}});
  for (int i = 0; i < 10'000; ++i) {
    curve.Observe(2, 0.014 * 0.75);
    curve.Observe(2, 0.014 * 1.25);
  }
  EXPECT_NEAR(curve.Seconds(2), 0.014, 0.02 * 0.014) << "a tick of 1.25 weighs 1.5 % of it";
  EXPECT_NEAR(curve.Seconds(16), 0.078, 0.03 * 0.078);
  EXPECT_EQ(curve.Knee(16), CostCurve({{2, Ms(14)}, {16, Ms(78)}}).Knee(16));
}

TEST(CostCurveTest, OneStallIsNoNews) {
  CostCurve curve({{2, Ms(100)}});
  curve.Observe(2, 60.0);
  EXPECT_NEAR(curve.Seconds(2), 0.10608, 1e-9) << "a minute counts as twice the expectation";
  for (int i = 0; i < 200; ++i) curve.Observe(2, 1.0);
  EXPECT_NEAR(curve.Seconds(2), 1.0, 1e-3) << "but a lasting change is learnt";
  curve.Observe(2, -1.0);
  curve.Observe(2, std::numeric_limits<double>::quiet_NaN());
  curve.Observe(0, 1.0);
  EXPECT_EQ(curve.Points().size(), 1u);
}

TEST(CostCurveTest, ANewRowCountBecomesAPoint) {
  CostCurve curve({{2, Ms(100)}, {8, Ms(400)}});
  curve.Observe(4, 0.150);
  EXPECT_NEAR(curve.Seconds(4), 0.19701, 1e-9) << "between two measurements the line said 200 ms";
  EXPECT_EQ(curve.Points().size(), 3u);
  curve.Observe(16, 0.600);
  EXPECT_NEAR(curve.Seconds(16), 0.600, 1e-9) << "beyond them nothing was measured: the first one counts whole";
}

TEST(CostCurveTest, GuessesFollowTheFirstMeasurement) {
  CostCurve guess({{1, Ms(100)}, {8, Ms(400)}}, /*measured=*/false);
  guess.Observe(1, 0.200);
  EXPECT_NEAR(guess.Seconds(1), 0.200, 1e-9);
  EXPECT_NEAR(guess.Seconds(8), 0.800, 1e-9);
  guess.Observe(8, 0.600);
  EXPECT_NEAR(guess.Seconds(8), 0.600, 1e-9);
  EXPECT_NEAR(guess.Seconds(1), 0.200, 1e-9) << "this one was measured";
}

TEST(CostCurveTest, TheFirstTicksOfANewSizeMayBeSlow) {
  CostCurve guess({{2, Ms(50)}, {16, Ms(400)}}, /*measured=*/false);
  guess.Observe(2, 1.0);
  EXPECT_NEAR(guess.Seconds(2), 0.2, 1e-9) << "at most four times what was guessed at once";
  EXPECT_NEAR(guess.Seconds(16), 1.6, 1e-9);
  guess.Observe(2, 0.05);
  EXPECT_NEAR(guess.Seconds(2), 0.05, 1e-9) << "a shorter one counts whole";
  EXPECT_NEAR(guess.Seconds(16), 0.4, 1e-9);
  CostCurve far({{2, Ms(50)}, {16, Ms(400)}}, /*measured=*/false);
  for (int i = 0; i < 3; ++i) far.Observe(2, 1.0);
  EXPECT_NEAR(far.Seconds(2), 1.0, 1e-9) << "a guess may be that wrong";
}

TEST(CostCurveTest, WhereCostsAreNotMonotoneWhatRunsIsRight) {
  CostCurve curve({{2, Ms(10)}, {6, Ms(30)}, {8, Ms(24)}, {16, Ms(50)}});
  for (int i = 0; i < 2000; ++i) curve.Observe(8, 0.024);
  EXPECT_NEAR(curve.Seconds(8), 0.024, 0.02 * 0.024) << "a point that does not run has no say";
  EXPECT_NEAR(curve.Seconds(2), 0.010, 0.02 * 0.010) << "and no other pays for it";
}

TEST(CostCurveTest, BeginsWithNothing) {
  CostCurve curve({});
  curve.Observe(4, 0.040);
  EXPECT_NEAR(curve.Seconds(8), 0.080, 1e-12);
}

}  // namespace
}  // namespace stepcast

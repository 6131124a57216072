#include "server/request/errors/field_violations.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

TEST(FieldViolationsTest, NothingWrongIsOk) {
  FieldViolations violations;
  EXPECT_TRUE(violations.empty());
  EXPECT_TRUE(violations.ToStatus().ok());
}

TEST(FieldViolationsTest, RangesIncludeTheirEnds) {
  const struct {
    int64_t value;
    bool fine;
  } rows[] = {{1, true}, {4, true}, {0, false}, {5, false}, {INT64_MIN, false}, {INT64_MAX, false}};
  for (const auto& row : rows) {
    FieldViolations violations;
    EXPECT_EQ(violations.CheckRange("n", row.value, 1, 4), row.fine) << row.value;
    EXPECT_EQ(violations.empty(), row.fine) << row.value;
  }
}

TEST(FieldViolationsTest, RealRangesRefuseWhatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  const struct {
    double value;
    bool fine;
  } rows[] = {{0.0, true},      {1.0, true},       {-0.0, true},       {std::nextafter(1.0, 2.0), false},
              {-1e-300, false}, {infinity, false}, {-infinity, false}, {std::nan(""), false}};
  for (const auto& row : rows) {
    FieldViolations violations;
    EXPECT_EQ(violations.CheckReal("x", row.value, 0.0, 1.0), row.fine) << row.value;
    EXPECT_EQ(violations.empty(), row.fine) << row.value;
  }
}

TEST(FieldViolationsTest, WhatIsJustBeyondABoundDoesNotReadAsTheBound) {
  FieldViolations violations;
  violations.CheckReal("x", 30.0000001, 0.0, 30.0);
  ASSERT_EQ(violations.violations().size(), 1u);
  EXPECT_EQ(violations.violations()[0].description, "got 30.0000001; allowed: 0..30");
}

TEST(FieldViolationsTest, SaysFieldGotAllowedAndSource) {
  FieldViolations violations;
  violations.CheckRange("steps", 0, 1, 150, "GetModel");
  ASSERT_EQ(violations.violations().size(), 1u);
  EXPECT_EQ(violations.violations()[0].field, "steps");
  EXPECT_EQ(violations.violations()[0].description, "got 0; allowed: 1..150, see GetModel");
  EXPECT_TRUE(violations.Has("steps"));
  EXPECT_FALSE(violations.Has("step"));
  EXPECT_EQ(violations.ToStatus().message(), "steps: got 0; allowed: 1..150, see GetModel");
}

TEST(FieldViolationsTest, ListsAllInTheMessage) {
  FieldViolations violations;
  violations.Add("a", "1", "2");
  violations.Add("b", "3", "4");
  EXPECT_EQ(violations.ToStatus().message(), "2 fields: a: got 1; allowed: 2 | b: got 3; allowed: 4");
  EXPECT_EQ(ReasonOf(violations.ToStatus()), "FIELD_INVALID");
}

// However much is wrong, what is kept stays small and the rest is counted.
TEST(FieldViolationsTest, KeepsFewAndCountsTheRest) {
  FieldViolations violations;
  violations.Add("steps", "0", "1");
  for (int i = 0; i < 100'000; ++i) violations.AddUnknown("output.", 50 + i);
  EXPECT_EQ(violations.violations().size(), 1 + FieldViolations::kMaxUnknownListed);
  EXPECT_TRUE(violations.Has("output.field 57"));
  EXPECT_EQ(violations.unlisted(), 100'000 - 8);
  for (int i = 0; i < 100'000; ++i) violations.Add("prompt", "this", "that");
  EXPECT_EQ(violations.violations().size(), FieldViolations::kMaxListed);
  const std::string message(violations.ToStatus().message());
  EXPECT_EQ(message.rfind("200001 fields: steps: got 0; allowed: 1 | output.field 50: got a value;", 0), 0u) << message;
}

}  // namespace
}  // namespace stepcast

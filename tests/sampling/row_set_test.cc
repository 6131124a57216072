#include "sampling/recipe/row_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace stepcast::sampling {
namespace {

using testing::HasSubstr;

SharedWeightMap Map(int height, int width, std::vector<float> values) {
  return std::make_shared<WeightMap>(WeightMap{height, width, std::move(values)});
}

TEST(RowSetTest, TheTwoPlainSetsAreKnownWhateverTheyShow) {
  EXPECT_TRUE(IsPlain(PlainRow(0)));
  EXPECT_TRUE(IsPlain(PlainRow(7)));
  EXPECT_TRUE(IsPlain(PlainPair(3, 1)));
  RowSet set = PlainPair(1, 0);
  set.rows[0].window = {0, 0, 4, 4};
  EXPECT_FALSE(IsPlain(set));
  set = PlainPair(1, 0);
  set.rows[1].guided.per_scale = 0.5f;
  EXPECT_FALSE(IsPlain(set));
  set = PlainRow(0);
  set.rows[0].map = Map(1, 1, {1.0f});
  EXPECT_FALSE(IsPlain(set));
  set = PlainPair(1, 0);
  std::swap(set.rows[0], set.rows[1]);
  EXPECT_FALSE(IsPlain(set)) << "the conditional row comes last";
}

TEST(RowSetTest, APairWeighsAsClassifierFreeGuidanceDoes) {
  const RowSet pair = PlainPair(1, 0);
  EXPECT_EQ(pair.rows[0].guided.At(7.5f), -6.5f);
  EXPECT_EQ(pair.rows[1].guided.At(7.5f), 7.5f);
  EXPECT_TRUE(pair.rows[0].cond.never());
  EXPECT_EQ(pair.rows[1].cond.At(7.5f), 1.0f);
  EXPECT_EQ(pair.rows[0].uncond.At(7.5f), 1.0f);
}

TEST(RowSetTest, AnEvaluationTellsWhichSetItSums) {
  Evaluation evaluation;
  EXPECT_EQ(RowSetOf(evaluation), 0);
  evaluation.guidance.kind = GuidanceKind::kEmbedded;
  EXPECT_EQ(RowSetOf(evaluation), 0) << "a scale that the denoiser is told needs no second row";
  evaluation.guidance.kind = GuidanceKind::kClassifierFree;
  EXPECT_EQ(RowSetOf(evaluation), 1);
}

TEST(RowSetTest, WhatCannotBeSummedIsRefused) {
  const auto windows = [](std::vector<Window> all) {
    RowSet set;
    for (const Window& window : all) set.rows.push_back({.window = window});
    return set;
  };
  RowSet weight = PlainRow(0), map = PlainRow(0), values = PlainRow(0);
  weight.rows[0].guided.constant = std::numeric_limits<float>::infinity();
  map.rows[0].map = Map(2, 2, {1, 1, 1, 1});
  values.rows[0].map = Map(4, 6, std::vector<float>(24, std::numeric_limits<float>::quiet_NaN()));
  RowSet gap = PlainRow(0);
  gap.rows[0].map = Map(4, 6, std::vector<float>(24, 1.0f));
  EXPECT_TRUE(CheckRowSet(gap, 1, 4, 6).ok());
  std::vector<float> holed(24, 1.0f);
  holed[6 + 5] = 0.0f;
  gap.rows[0].map = Map(4, 6, holed);
  const struct {
    RowSet set;
    const char* message;
  } kCases[] = {
      {{}, "an evaluation of 0 rows; allowed are 1 to 256"},
      {windows(std::vector<Window>(257)), "an evaluation of 257 rows"},
      {PlainRow(1), "row 0 of an evaluation shows nothing that is known"},
      {PlainPair(-1, 0), "row 0 of an evaluation shows nothing"},
      {windows({{0, 0, 4, 7}}), "row 0 of an evaluation lies outside the picture"},
      {windows({{0, 0, 4, 6}, {1, 0, 4, 6}}), "row 1 of an evaluation lies outside the picture"},
      {windows({{0, std::numeric_limits<int>::max(), 4, 3}}), "lies outside the picture"},
      {windows({{0, 0, 4, 3}, {0, 3, 4, 2}}), "row 1 of an evaluation has a size of its own"},
      {weight, "has a weight that is not finite"},
      {map, "has a map that does not fit it"},
      {values, "has a map that does not fit it"},
      {windows({{0, 0, 4, 4}}), "reaches cell 0, 4 of the picture"},
      {gap, "reaches cell 1, 5 of the picture"},
  };
  for (const auto& test : kCases) {
    const absl::Status status = CheckRowSet(test.set, 1, 4, 6);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << test.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.message));
  }
  EXPECT_TRUE(CheckRowSet(windows({{0, 0, 4, 4}, {0, 2, 4, 4}}), 1, 4, 6).ok());
  EXPECT_TRUE(CheckRowSet(PlainPair(1, 0), 2, 4, 6).ok());
}

}  // namespace
}  // namespace stepcast::sampling

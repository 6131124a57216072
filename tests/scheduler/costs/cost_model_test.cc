#include "scheduler/costs/cost_model.h"

#include <gtest/gtest.h>

#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

absl::Duration Ms(double milliseconds) { return absl::Milliseconds(1) * milliseconds; }
const BatchKey kEncode{Phase::kEncode, "emoji"};
const BatchKey kDenoise{Phase::kDenoise, "emoji", 16, 16};
const BatchKey kLarge{Phase::kDenoise, "emoji", 32, 32};
const BatchKey kDigits{Phase::kDenoise, "digits", 32, 16};
const BatchKey kDecode{Phase::kDecode, "emoji", 16, 16};
constexpr ExecutorLimits kLimits{.max_denoise_rows = 16, .max_encode_jobs = 8, .max_decode_jobs = 4};

CostModel Profiled() {
  CostModel model(kLimits);
  model.SetCurve(kEncode, {{1, Ms(5)}, {8, Ms(40)}});
  model.SetCurve(kDenoise, {{1, Ms(10)}, {2, Ms(16)}, {16, Ms(128)}});
  model.SetCurve(kDecode, {{1, Ms(30)}});
  return model;
}

TEST(CostModelTest, KnowsNothingAtFirst) {
  const CostModel model(kLimits);
  EXPECT_FALSE(model.Knows(kDenoise));
  EXPECT_EQ(model.Predict(kDenoise, 4), absl::ZeroDuration());
  EXPECT_EQ(model.Knee(kDenoise), 16);
  EXPECT_EQ(model.Knee(kEncode), 8);
  EXPECT_EQ(model.RowCap(kDecode), 4);
  EXPECT_TRUE(model.Table().empty());
}

TEST(CostModelTest, StrictModeHasOneDenoiseBatchAndSingleItemsElsewhere) {
  const CostModel model({.max_denoise_rows = 16, .strict_rows = 8});
  EXPECT_EQ(model.RowCap(kDenoise), 8);
  EXPECT_EQ(model.RowCap(kEncode), 1);
  EXPECT_EQ(model.RowCap(kDecode), 1);
}

TEST(CostModelTest, AnswersFromItsCurves) {
  const CostModel model = Profiled();
  EXPECT_TRUE(model.Knows(kDenoise));
  EXPECT_EQ(model.Predict(kDenoise, 9), Ms(72));
  EXPECT_EQ(model.Predict(kEncode, 2), Ms(10));
  EXPECT_EQ(model.Knee(kDenoise), 2);
  ASSERT_EQ(model.Table().size(), 3u);
  EXPECT_EQ(model.Table()[1], (CostEntry{kDenoise, {{1, Ms(10)}, {2, Ms(16)}, {16, Ms(128)}}, 16}));
}

TEST(CostModelTest, GuessesByAreaFromTheNearestKeyOfThePhase) {
  CostModel model = Profiled();
  EXPECT_EQ(model.Predict(kLarge, 2), Ms(64)) << "four times the area";
  EXPECT_FALSE(model.Knows(kLarge));
  EXPECT_EQ(model.Predict(kDigits, 2), Ms(32)) << "another model, for want of a better one";
  EXPECT_EQ(model.Predict({Phase::kEncode, "digits"}, 1), Ms(5));
  EXPECT_EQ(model.Predict({Phase::kPreview, "emoji", 16, 16}, 1), absl::ZeroDuration()) << "no key of that phase";
  model.SetCurve({Phase::kDenoise, "digits", 8, 8}, {{2, Ms(3)}});
  EXPECT_EQ(model.Predict(kDigits, 2), Ms(24)) << "its own model counts more than the nearer area";
}

TEST(CostModelTest, ATickOfAGuessedKeyMakesItKnown) {
  CostModel model = Profiled();
  model.Observe(kLarge, 2, Ms(80));
  EXPECT_TRUE(model.Knows(kLarge));
  EXPECT_EQ(model.Predict(kLarge, 2), Ms(80));
  EXPECT_EQ(model.Predict(kLarge, 16), Ms(640)) << "the guess said 512 and was a quarter too low";
}

TEST(CostModelTest, LearnsFromNothing) {
  CostModel model(kLimits);
  model.Observe(kDenoise, 4, Ms(40));
  EXPECT_EQ(model.Predict(kDenoise, 8), Ms(80));
}

TEST(CostModelTest, TheRowCapOnlyFalls) {
  CostModel model = Profiled();
  model.LowerRowCap(kDenoise, 10);
  EXPECT_EQ(model.RowCap(kDenoise), 10);
  model.LowerRowCap(kDenoise, 12);
  EXPECT_EQ(model.RowCap(kDenoise), 10);
  model.LowerRowCap(kDenoise, 0);
  EXPECT_EQ(model.RowCap(kDenoise), 2) << "a guided job must fit";
  model.LowerRowCap(kDecode, 0);
  EXPECT_EQ(model.RowCap(kDecode), 1);
  model.LowerRowCap(kLarge, 6);
  EXPECT_EQ(model.RowCap(kLarge), 6) << "a key that was only guessed";
  model.SetCurve(kDenoise, {{1, Ms(1)}});
  EXPECT_EQ(model.RowCap(kDenoise), 2) << "a new curve does not make more memory";
}

TEST(CostModelTest, AJobCostsItsEncodeItsEvaluationsAndItsDecode) {
  const CostModel model = Profiled();
  const auto sink = std::make_shared<RecordingSink>();
  struct Case {
    const char* name;
    TestJob job;
    int position;  // -1: waits for its encode
    double milliseconds;
  };
  const Case cases[] = {
      {"from the start", {.steps = 4}, -1, 5 + 4 * 16 + 30},
      {"embeddings were cached", {.steps = 4}, 0, 4 * 16 + 30},
      {"half way", {.steps = 4}, 2, 2 * 16 + 30},
      {"only the decode is left", {.steps = 4}, 4, 30},
      {"single rows", {.steps = 4, .guidance_scale = 1.0}, 1, 3 * 10 + 30},
      {"guided at first", {.steps = 4, .unguided_tail = 3}, 0, 16 + 3 * 10 + 30},
      {"two evaluations a step", {.steps = 4, .evaluations_per_step = 2}, 1, 7 * 16 + 30},
  };
  for (const Case& c : cases) {
    const auto job = c.position < 0 ? MakeJob(1, c.job, sink) : MakeJobAt(1, c.job, c.position, sink);
    EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Remaining(*job)), c.milliseconds, 1e-9) << c.name;
  }
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Isolated(MakeSpecs({.steps = 4}, sink)[0])), 99, 1e-9);
}

// Guesses, the slowness of the moment and the limits of this run are not worth keeping.
TEST(CostModelTest, WhatIsLearnedIsWhatWasMeasured) {
  CostModel model = Profiled();
  for (int i = 0; i < 20; ++i) model.Observe(kDenoise, 2, Ms(32));
  model.Observe(kLarge, 2, Ms(64));
  model.LowerRowCap(kDenoise, 8);
  const std::vector<CostEntry> learned = model.Learned();
  ASSERT_EQ(learned.size(), 4u);
  EXPECT_EQ(learned[1].key, kDenoise);
  EXPECT_EQ(learned[1].points[2], (CostPoint{16, Ms(128)})) << "all row counts were slow for a moment";
  EXPECT_GT(model.Predict(kDenoise, 16), Ms(150));
  EXPECT_EQ(learned[1].row_cap, 0);
  EXPECT_EQ(learned[2].key, kLarge);
  EXPECT_EQ(learned[2].points.size(), 1u) << "the rest of its curve is guessed";
  model.Rest();
  EXPECT_EQ(model.Predict(kDenoise, 16), Ms(128));
}

}  // namespace
}  // namespace stepcast

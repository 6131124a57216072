#include "engine/trial/strict_check.h"

#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/engine/fake_bundle.h"

namespace stepcast::engine {
namespace {

TEST(RowsAreIndependentTest, HoldsForAModelThatWorksRowByRow) {
  const c10::InferenceMode inference_mode;
  const auto device = OpenDevice("cpu", 1);
  ASSERT_TRUE(device.ok()) << device.status();
  FakeScript script;
  EXPECT_TRUE(RowsAreIndependent(*MakeFakeBundle("fake", &script), **device, 4));
  EXPECT_EQ(script.forward_rows, (std::vector<int64_t>{4, 4, 4}));
}

TEST(RowsAreIndependentTest, SeesOneThatLetsRowsMeet) {
  const c10::InferenceMode inference_mode;
  const auto device = OpenDevice("cpu", 1);
  ASSERT_TRUE(device.ok()) << device.status();
  FakeScript script;
  script.rows_meet = 1e-6f;
  EXPECT_FALSE(RowsAreIndependent(*MakeFakeBundle("fake", &script), **device, 4));
}

TEST(RowsAreIndependentTest, IsAskedOfASize) {
  const c10::InferenceMode inference_mode;
  const auto device = OpenDevice("cpu", 1);
  ASSERT_TRUE(device.ok()) << device.status();
  FakeScript script;
  script.rows_meet = 1e-6f;
  script.meeting_width = 9;
  const auto bundle = MakeFakeBundle("fake", &script);
  EXPECT_TRUE(RowsAreIndependent(*bundle, **device, 4));
  EXPECT_TRUE(RowsAreIndependent(*bundle, **device, 4, {}, {9, 5}));
  EXPECT_FALSE(RowsAreIndependent(*bundle, **device, 4, {}, {5, 9}));
}

// Rows at which a model 'm' lets rows meet; counts what was asked.
StrictProbe Meets(std::set<int> at, std::vector<int>* asked = nullptr) {
  return [at = std::move(at), asked](int rows) -> absl::StatusOr<std::optional<std::string>> {
    if (asked != nullptr) asked->push_back(rows);
    if (at.contains(rows)) return "m";
    return std::nullopt;
  };
}

TEST(ChooseStrictRowsTest, TakesTheFirstThatPassesAndFits) {
  std::vector<int> asked;
  const auto choice = ChooseStrictRows({2, 3, 4, 6, 8}, 16, Meets({2, 4}, &asked));
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->rows, 3);
  EXPECT_FALSE(choice->one_job);
  EXPECT_EQ(choice->failed, (std::vector<int>{2}));
  EXPECT_EQ(asked, (std::vector<int>{2, 3})) << "it stops there";
}

TEST(ChooseStrictRowsTest, WhereNothingPassesEveryForwardHoldsOneJob) {
  const auto choice = ChooseStrictRows({2, 3, 4, 6, 8}, 4, Meets({2, 3, 4}));
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_TRUE(choice->one_job);
  EXPECT_EQ(choice->rows, 2) << "a guided picture fits";
  EXPECT_EQ(choice->failed, (std::vector<int>{2, 3, 4})) << "6 and 8 are above max_rows";
}

TEST(CheckStrictRowsTest, ARefusalNamesWhatPassesInstead) {
  EXPECT_TRUE(CheckStrictRows(5, {2, 3}, 16, Meets({2})).ok());
  const absl::Status one = CheckStrictRows(5, {2, 3, 5, 6, 32}, 16, Meets({2, 5}));
  EXPECT_EQ(one.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(one.message()), testing::HasSubstr("strict_rows is 5, but rows of model 'm'"));
  EXPECT_THAT(std::string(one.message()), testing::HasSubstr("checked and fine: 3, 6; or strict_rows auto"));
  const absl::Status none = CheckStrictRows(5, {2, 3}, 16, Meets({2, 3, 5}));
  EXPECT_THAT(std::string(none.message()), testing::HasSubstr("none of 2, 3 passes; or strict_rows auto"));
}

TEST(ChooseStrictRowsTest, AFailedProbeIsNoAnswer) {
  const StrictProbe broken = [](int) -> absl::StatusOr<std::optional<std::string>> {
    return absl::ResourceExhaustedError("no memory");
  };
  EXPECT_EQ(ChooseStrictRows({2}, 16, broken).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CheckStrictRows(2, {2}, 16, broken).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace stepcast::engine

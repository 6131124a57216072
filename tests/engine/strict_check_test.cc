#include "engine/strict_check.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace stepcast::engine

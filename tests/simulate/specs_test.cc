#include "tools/simulate/specs.h"

#include <gtest/gtest.h>

namespace stepcast::simulate {
namespace {

// What capacity is worked out with: a guided job that counted one row would need half the devices.
TEST(SpecMakerTest, AGuidedJobIsTwoRows) {
  SpecMaker specs;
  EXPECT_EQ(specs.Make({.guided = true}, nullptr).work->most_rows(), 2);
  EXPECT_EQ(specs.Make({.guided = false}, nullptr).work->most_rows(), 1);
}

}  // namespace
}  // namespace stepcast::simulate

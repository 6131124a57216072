#include "scheduler/decide/policies/fair_pace.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

constexpr double kSame = 1e-12;  // sums of a few doubles

TEST(FairPaceTest, AloneTheDeviceIsTheLanes) {
  EXPECT_NEAR(FairPace().WorkIn(3.0), 3.0, kSame);
  EXPECT_NEAR(FairPace().WorkIn(-2.0), -2.0, kSame);
}

TEST(FairPaceTest, SharesDivideTheDeviceUntilOneHasNothingLeft) {
  // A quarter beside weight three until that has done its 6 s, in 8 s; then all of it.
  const FairPace pace(1.0, {{.work = 6.0, .weight = 3.0}}, {});
  EXPECT_NEAR(pace.WorkIn(4.0), 1.0, kSame);
  EXPECT_NEAR(pace.WorkIn(8.0), 2.0, kSame);
  EXPECT_NEAR(pace.WorkIn(10.0), 4.0, kSame);
}

TEST(FairPaceTest, TenantsOfAShareDivideItsPart) {
  const FairPace pace(1.0, {}, {.tenants = 2.0, .others_work = 1.0});
  EXPECT_NEAR(pace.WorkIn(1.0), 0.5, kSame);
  EXPECT_NEAR(pace.WorkIn(4.0), 3.0, kSame) << "the other is done";
}

}  // namespace
}  // namespace stepcast

// What the slo policy promises, mostly in its short form of one seed. `./dev bench scheduler` prints the long one.

#include "tools/simulate/acceptance.h"

#include <gtest/gtest.h>

namespace stepcast::simulate {
namespace {

void ExpectAll(const std::vector<Claim>& claims) {
  EXPECT_FALSE(claims.empty());
  for (const Claim& claim : claims) EXPECT_TRUE(claim.holds()) << claim.ToString();
}

constexpr AcceptanceOptions kShort{.seeds = 1};
constexpr AcceptanceOptions kFull{.seeds = 3};  // where a hundredth of a per cent decides

TEST(AcceptanceTest, MeanLatency) { ExpectAll(MeanLatencyClaims(kShort)); }
TEST(AcceptanceTest, Goodput) { ExpectAll(GoodputClaims(kShort)); }
TEST(AcceptanceTest, Overload) { ExpectAll(OverloadClaims(kShort)); }
TEST(AcceptanceTest, InteractiveAmongBatch) { ExpectAll(InteractiveClaims(kFull)); }
TEST(AcceptanceTest, TenantShares) { ExpectAll(TenantClaims(kShort)); }
TEST(AcceptanceTest, PhasesDoNotStall) { ExpectAll(PhaseClaims()); }
TEST(AcceptanceTest, CancelsFreeTheirRows) { ExpectAll(CancelClaims()); }

TEST(AcceptanceTest, AClaimSaysWhatItMeasured) {
  EXPECT_TRUE((Claim{"x", 1.0, 1.0}).holds());
  EXPECT_FALSE((Claim{"x", 0.9, 1.0}).holds());
  EXPECT_TRUE((Claim{"x", 0.9, 1.0, true}).holds());
  EXPECT_NE((Claim{"waste", 0.5, 1.0, true}).ToString().find("0.500  <= 1.000"), std::string::npos);
}

}  // namespace
}  // namespace stepcast::simulate

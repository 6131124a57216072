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
TEST(AcceptanceTest, SharesBesidePromises) { ExpectAll(ShareClaims(kFull)); }
TEST(AcceptanceTest, Bursts) { ExpectAll(BurstClaims({.seeds = 5})); }
TEST(AcceptanceTest, PeopleAndErrands) { ExpectAll(ErrandClaims(kShort)); }
TEST(AcceptanceTest, PhasesDoNotStall) { ExpectAll(PhaseClaims()); }
TEST(AcceptanceTest, CancelsFreeTheirRows) { ExpectAll(CancelClaims()); }

// A millisecond goes by whenever somebody asks: every decision takes one.
class CountingClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch() + absl::Milliseconds(++asked_); }

 private:
  mutable int64_t asked_ = 0;
};

// The short form has no wall clock, because how fast this machine is at the moment is not the scheduler's affair.
TEST(AcceptanceTest, RefusalsAreTimedWhenThereIsAClock) {
  const CountingClock clock;
  const std::vector<Claim> untimed = OverloadClaims({.seeds = 1, .arrivals = 400});
  const std::vector<Claim> timed = OverloadClaims({.seeds = 1, .arrivals = 400, .wall = &clock});
  ASSERT_EQ(timed.size(), untimed.size() + 1);
  EXPECT_NE(timed.back().name.find("refusal"), std::string::npos);
  EXPECT_NEAR(timed.back().measured, 1.0, 1e-6);
  for (size_t i = 0; i < untimed.size(); ++i) EXPECT_EQ(timed[i].measured, untimed[i].measured) << timed[i].name;
}

TEST(AcceptanceTest, AClaimSaysWhatItMeasured) {
  EXPECT_TRUE((Claim{"x", 1.0, 1.0}).holds());
  EXPECT_FALSE((Claim{"x", 0.9, 1.0}).holds());
  EXPECT_TRUE((Claim{"x", 0.9, 1.0, true}).holds());
  EXPECT_NE((Claim{"waste", 0.5, 1.0, true}).ToString().find("0.500  <= 1.000"), std::string::npos);
}

}  // namespace
}  // namespace stepcast::simulate

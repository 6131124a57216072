#include "server/identity/tenant_rates.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/request/errors/status_mapping.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

class TenantRatesTest : public testing::Test {
 protected:
  SimulatedClock clock_;
  TenantRates rates_{clock_};
};

TEST_F(TenantRatesTest, RequestsBeyondTheBurstWait) {
  const TenantConfig limits{.requests_per_second = 0.5, .request_burst = 2};
  EXPECT_TRUE(rates_.Admit("acme", limits).ok());
  EXPECT_TRUE(rates_.Admit("acme", limits).ok());
  const absl::Status refused = rates_.Admit("acme", limits);
  EXPECT_EQ(ReasonOf(refused), "TENANT_LIMIT");
  EXPECT_EQ(RetryPushback(refused), "2000");
  EXPECT_TRUE(rates_.Admit("globex", limits).ok()) << "each has its own";
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(rates_.Admit("acme", limits).ok()) << "what was refused took nothing";
}

TEST_F(TenantRatesTest, RowSecondsAreTakenAsTheyAreUsed) {
  const TenantConfig limits{.row_seconds_per_second = 0.1, .row_seconds_burst = 1.0};
  EXPECT_TRUE(rates_.Admit("acme", limits).ok());
  rates_.Charge("acme", absl::Milliseconds(900));
  EXPECT_TRUE(rates_.Admit("acme", limits).ok()) << "some is left";
  rates_.Charge("acme", absl::Milliseconds(400));
  const absl::Status refused = rates_.Admit("acme", limits);
  EXPECT_EQ(ReasonOf(refused), "TENANT_LIMIT");
  EXPECT_EQ(RetryPushback(refused), "3000") << "0.3 s are overdrawn, at a tenth a second";
  clock_.Advance(absl::Seconds(3));
  EXPECT_TRUE(rates_.Admit("acme", limits).ok());
}

TEST_F(TenantRatesTest, WhoHasNoLimitIsNotCounted) {
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(rates_.Admit("acme", {}).ok());
  rates_.Charge("acme", absl::Hours(1));
  EXPECT_TRUE(rates_.Admit("acme", {}).ok());
  rates_.Charge("nobody", absl::Hours(1));
}

TEST_F(TenantRatesTest, ALimitThatIsLiftedIsGone) {
  const TenantConfig limits{.requests_per_second = 0.001, .request_burst = 1};
  EXPECT_TRUE(rates_.Admit("acme", limits).ok());
  EXPECT_FALSE(rates_.Admit("acme", limits).ok());
  EXPECT_TRUE(rates_.Admit("acme", {}).ok());
}

}  // namespace
}  // namespace stepcast

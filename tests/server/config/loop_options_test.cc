#include "server/config/loop_options.h"

#include <limits>

#include <gtest/gtest.h>

namespace stepcast {
namespace {

constexpr int kNoLimit = std::numeric_limits<int>::max();

TEST(LoopOptionsTest, TenantsBecomeWeightsAndLimits) {
  ServerConfig config;
  config.scheduler.admission.max_queued_jobs = 7;
  config.tenants.defaults.max_queued = 5;
  config.tenants.named["acme"] = {.weight = 3.0, .max_pictures = 2, .max_queued_work = absl::Seconds(9)};
  const EngineLoopOptions options = LoopOptions(config);
  EXPECT_EQ(options.admission.max_queued_jobs, 7);
  EXPECT_EQ(options.admission.Of("somebody").max_queued, 5);
  EXPECT_EQ(options.admission.Of("somebody").max_jobs, kNoLimit);
  EXPECT_EQ(options.admission.Of("somebody").max_queued_work, absl::InfiniteDuration());
  EXPECT_EQ(options.admission.Of("acme").max_queued, kNoLimit);
  EXPECT_EQ(options.admission.Of("acme").max_jobs, 2);
  EXPECT_EQ(options.admission.Of("acme").max_queued_work, absl::Seconds(9));
  ASSERT_EQ(options.tenant_weights.size(), 1u);
  EXPECT_EQ(options.tenant_weights.at("acme"), 3.0);
}

}  // namespace
}  // namespace stepcast

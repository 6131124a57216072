#include "server/process/start_banner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StartBannerTest, TellsWhatToTry) {
  ServerConfig config;
  config.listen.host = "0.0.0.0";
  const std::string banner =
      StartBanner(config, {.grpc = 50051, .admin = 0, .metrics = 9464}, {MakeModelInfo("emoji")}, "cpu");
  EXPECT_THAT(banner, HasSubstr("cpu, up to 16 rows per tick, policy slo"));
  EXPECT_THAT(banner, HasSubstr("emoji"));
  EXPECT_THAT(banner, HasSubstr("64x64, 4 steps of DDIM, fp32"));
  EXPECT_THAT(banner, HasSubstr("localhost:50051 stepcast.v1.ImageGenerationService/Generate"));
  EXPECT_THAT(banner, HasSubstr("http://127.0.0.1:9464/metrics"));
  EXPECT_THAT(banner, Not(HasSubstr("admin")));
  EXPECT_EQ(banner.back(), '\n');
}

}  // namespace
}  // namespace stepcast

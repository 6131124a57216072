#include "server/telemetry/metrics_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "absl/strings/str_cat.h"

namespace stepcast {
namespace {

TEST(MetricsExporterTest, APortInUseIsOneClearLine) {
  const auto registry = std::make_shared<prometheus::Registry>();
  const auto first = MetricsExporter::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_GT((*first)->port(), 0);
  const auto second = MetricsExporter::Start(absl::StrCat("127.0.0.1:", (*first)->port()), registry);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              testing::HasSubstr(absl::StrCat("127.0.0.1:", (*first)->port(), ": the port is in use")));
}

TEST(MetricsExporterTest, AnAddressOfAnotherMachineIsRefused) {
  // 192.0.2.0/24 belongs to documentation: no machine has it.
  EXPECT_FALSE(MetricsExporter::Start("192.0.2.1:0", std::make_shared<prometheus::Registry>()).ok());
}

}  // namespace
}  // namespace stepcast

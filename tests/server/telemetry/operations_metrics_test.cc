#include "server/telemetry/operations_metrics.h"

#include <string>

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

TEST(OperationsMetricsTest, SeriesAreThereAtZeroAndCount) {
  prometheus::Registry registry;
  OperationsMetrics metrics(registry);
  const auto page = [&registry] { return prometheus::TextSerializer().Serialize(registry.Collect()); };
  for (const char* const what : {"config", "tokens", "certificates"}) {
    for (const char* const result : {"ok", "failed"}) {
      EXPECT_THAT(page(), HasSubstr("stepcast_config_reloads_total{result=\"" + std::string(result) + "\",what=\"" +
                                    what + "\"} 0\n"));
    }
  }
  EXPECT_THAT(page(), HasSubstr("stepcast_log_lines_dropped_total 0\n"));
  EXPECT_THAT(page(), testing::Not(HasSubstr("certificate_expiry"))) << "without TLS an alert on it must not fire";
  metrics.CountReload(Reloaded::kTokens, false);
  metrics.SetDroppedLines(3);
  metrics.SetDroppedLines(5);
  metrics.SetCertificateExpiry(absl::FromUnixSeconds(2'000'000'000));
  EXPECT_THAT(page(), HasSubstr("stepcast_config_reloads_total{result=\"failed\",what=\"tokens\"} 1\n"));
  EXPECT_THAT(page(), HasSubstr("stepcast_log_lines_dropped_total 5\n"));
  EXPECT_THAT(page(), HasSubstr("stepcast_tls_certificate_expiry_timestamp_seconds 2000000000\n"));
}

}  // namespace
}  // namespace stepcast

#include "server/telemetry/tenant_metrics.h"

#include <string>

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

class TenantMetricsTest : public testing::Test {
 protected:
  std::string Page() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

  prometheus::Registry registry_;
  TenantMetrics metrics_{registry_};
};

TEST_F(TenantMetricsTest, EverySeriesIsThereAtZero) {
  metrics_.Add({"acme"});
  for (const std::string tenant : {"acme", "_other"}) {
    for (const std::string_view outcome : kCallOutcomes) {
      EXPECT_THAT(Page(), HasSubstr("stepcast_tenant_calls_total{outcome=\"" + std::string(outcome) + "\",tenant=\"" +
                                    tenant + "\"} 0\n"));
    }
  }
}

TEST_F(TenantMetricsTest, WhoIsNotNamedSharesASeries) {
  metrics_.Add({"acme"});
  metrics_.CountCall("acme", "succeeded");
  metrics_.CountCall("somebody", "refused");
  metrics_.CountCall("", "refused");
  EXPECT_THAT(Page(), HasSubstr("stepcast_tenant_calls_total{outcome=\"succeeded\",tenant=\"acme\"} 1\n"));
  EXPECT_THAT(Page(), HasSubstr("stepcast_tenant_calls_total{outcome=\"refused\",tenant=\"_other\"} 2\n"));
}

TEST_F(TenantMetricsTest, NamesThatComeLaterKeepWhatIsThere) {
  metrics_.Add({"acme"});
  metrics_.Charge("acme", {.row_evaluations = 3, .device_time = absl::Seconds(2)});
  metrics_.Add({"acme", "globex"});
  metrics_.Charge("globex", {.row_evaluations = 3, .device_time = absl::Seconds(1)});
  EXPECT_THAT(Page(), HasSubstr("stepcast_tenant_device_seconds_total{tenant=\"acme\"} 2\n"));
  EXPECT_THAT(Page(), HasSubstr("stepcast_tenant_device_seconds_total{tenant=\"globex\"} 1\n"));
  EXPECT_THAT(Page(), HasSubstr("stepcast_tenant_row_evaluations_total{tenant=\"globex\"} 3\n"));
}

TEST_F(TenantMetricsTest, TheListenerHearsWhoGotWhat) {
  std::string heard;
  metrics_.Listen([&heard](std::string_view tenant, absl::Duration had) {
    heard = std::string(tenant) + " " + absl::FormatDuration(had);
  });
  metrics_.Charge("somebody", {.row_evaluations = 3, .device_time = absl::Milliseconds(5)});
  EXPECT_EQ(heard, "somebody 5ms");
}

}  // namespace
}  // namespace stepcast

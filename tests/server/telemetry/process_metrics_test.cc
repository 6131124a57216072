#include "server/telemetry/process_metrics.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/clock.h"

namespace stepcast {
namespace {

TEST(ProcessMetricsTest, ReadsThisProcess) {
  std::map<std::string, double> values;
  for (const prometheus::MetricFamily& family : ProcessMetrics().Collect()) {
    ASSERT_EQ(family.metric.size(), 1u);
    const bool counter = family.type == prometheus::MetricType::Counter;
    EXPECT_EQ(counter, family.name.ends_with("_total"));
    values[family.name] = counter ? family.metric[0].counter.value : family.metric[0].gauge.value;
  }
  EXPECT_GE(values.at("process_cpu_seconds_total"), 0);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(values.at("process_virtual_memory_bytes"), values.at("process_resident_memory_bytes"));
  EXPECT_GE(values.at("process_open_fds"), 3);
  EXPECT_GE(values.at("process_max_fds"), values.at("process_open_fds"));
  EXPECT_GE(values.at("process_threads"), 1);
  // Boot time has a resolution of a second.
  const double now = absl::ToDoubleSeconds(RealClock().Now() - absl::UnixEpoch());
  EXPECT_LT(values.at("process_start_time_seconds"), now + 2);
  EXPECT_GT(values.at("process_start_time_seconds"), now - 3600);
}

}  // namespace
}  // namespace stepcast

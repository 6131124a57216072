#include "server/telemetry/device_metrics.h"

#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "server/telemetry/server_metrics.h"
#include "tests/support/job_builder.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

class DeviceMetricsTest : public testing::Test {
 protected:
  DeviceMetricsTest() {
    clock_.Advance(absl::Seconds(100));
    metrics_.AddModels({MakeModelInfo("emoji")});
  }

  double Value(const std::string& series) const {
    std::istringstream page(prometheus::TextSerializer().Serialize(metrics_.registry()->Collect()));
    for (std::string line; std::getline(page, line);) {
      if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
    }
    return -1;
  }

  SimulatedClock clock_;
  ServerMetrics metrics_{clock_};
};

TEST_F(DeviceMetricsTest, EveryDeviceHasItsOwnAndTheQueueIsTheSum) {
  EngineMetrics& a = metrics_.AddDevice("cuda:0");
  EngineMetrics& b = metrics_.AddDevice("cuda:1");
  EXPECT_EQ(Value(R"(stepcast_device_up{device="cuda:0"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_engine_last_progress_timestamp_seconds{device="cuda:1"})"), 100);
  clock_.Advance(absl::Seconds(7));
  a.ObserveTick("denoise", "emoji", 2, 4, absl::Milliseconds(1500));
  a.ObserveTick("decode", "emoji", 1, 1, absl::Milliseconds(250));
  b.ObserveTick("denoise", "emoji", 1, 2, absl::Milliseconds(500));
  EXPECT_EQ(Value(R"(stepcast_device_busy_seconds_total{device="cuda:0",phase="denoise"})"), 1.5);
  EXPECT_EQ(Value(R"(stepcast_device_busy_seconds_total{device="cuda:0",phase="decode"})"), 0.25);
  EXPECT_EQ(Value(R"(stepcast_device_busy_seconds_total{device="cuda:1",phase="denoise"})"), 0.5);
  EXPECT_EQ(Value(R"(stepcast_tick_duration_seconds_count{phase="denoise"})"), 2);
  EXPECT_EQ(Value(R"(stepcast_batch_rows_sum{model="emoji"})"), 6);
  EXPECT_EQ(Value(R"(stepcast_engine_last_progress_timestamp_seconds{device="cuda:0"})"), 107);

  a.SetQueue(3, 2);
  b.SetQueue(1, 4);
  EXPECT_EQ(Value("stepcast_requests_waiting"), 4);
  EXPECT_EQ(Value("stepcast_requests_running"), 6);
  EXPECT_EQ(Value(R"(stepcast_device_waiting{device="cuda:0"})"), 3);
  a.SetQueue(0, 1);
  EXPECT_EQ(Value("stepcast_requests_waiting"), 1);
  EXPECT_EQ(Value("stepcast_requests_running"), 5);
  EXPECT_EQ(Value(R"(stepcast_device_running{device="cuda:0"})"), 1);

  b.SetParked(2);
  EXPECT_EQ(Value(R"(stepcast_device_parked{device="cuda:1"})"), 2);
  EXPECT_EQ(Value(R"(stepcast_device_parked{device="cuda:0"})"), 0);

  metrics_.SetDeviceUp("cuda:1", false);
  EXPECT_EQ(Value(R"(stepcast_device_up{device="cuda:1"})"), 0);
  EXPECT_EQ(Value(R"(stepcast_device_up{device="cuda:0"})"), 1);
}

TEST_F(DeviceMetricsTest, WhatHasNoDeviceIsPassedOn) {
  EngineMetrics& device = metrics_.AddDevice("cpu");
  device.CountJob("emoji", "expired", absl::Seconds(2));
  device.CountEmbeddingLookup(false);
  metrics_.tenants().Add({"acme"});
  device.ChargeTenant("acme", {.device_time = absl::Seconds(2)});
  EXPECT_EQ(Value(R"(stepcast_tenant_device_seconds_total{tenant="acme"})"), 2);
  device.ObservePrediction("denoise", absl::Milliseconds(90), absl::Milliseconds(100));
  device.ObservePrediction("denoise", absl::Milliseconds(150), absl::Milliseconds(100));
  EXPECT_EQ(Value(R"(stepcast_images_total{finish_reason="expired",model="emoji"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_embedding_cache_lookups_total{result="miss"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_tick_prediction_error_ratio_count{phase="denoise"})"), 2);
  EXPECT_NEAR(Value(R"(stepcast_tick_prediction_error_ratio_sum{phase="denoise"})"), 0.1 + 0.5, 1e-9);
  EXPECT_EQ(Value(R"(stepcast_tick_prediction_error_ratio_bucket{phase="denoise",le="0.1"})"), 1);
}

}  // namespace
}  // namespace stepcast

#include "server/telemetry/server_metrics.h"

#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "absl/strings/str_cat.h"
#include "core/string_view.h"
#include "scheduler/words/phase.h"
#include "tests/support/job_builder.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

class ServerMetricsTest : public testing::Test {
 protected:
  ServerMetricsTest() {
    clock_.Advance(absl::Seconds(100));
    metrics_.AddModels({MakeModelInfo("emoji")});
    metrics_.AddDevice("cpu");
  }

  std::string Page() const { return prometheus::TextSerializer().Serialize(metrics_.registry()->Collect()); }
  // Value of the series whose line starts with `series`; -1 when there is none.
  double Value(const std::string& series) const {
    std::istringstream page(Page());
    for (std::string line; std::getline(page, line);) {
      if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
    }
    return -1;
  }

  SimulatedClock clock_;
  ServerMetrics metrics_{clock_};
};

TEST_F(ServerMetricsTest, EverySeriesExistsFromTheStart) {
  for (const char* series : {
           R"(stepcast_requests_total{code="OK",method="Generate",model="emoji"})",
           R"(stepcast_requests_total{code="OK",method="GetServerInfo",model=""})",
           R"(stepcast_rejected_total{reason="QUEUE_FULL"})",
           "stepcast_requests_waiting",
           "stepcast_requests_running",
           R"(stepcast_request_duration_seconds_count{model="emoji",outcome="succeeded"})",
           "stepcast_queue_wait_seconds_count",
           "stepcast_time_to_first_preview_seconds_count",
           R"(stepcast_tick_duration_seconds_count{phase="denoise"})",
           R"(stepcast_batch_rows_count{model="emoji"})",
           R"(stepcast_images_total{finish_reason="succeeded",model="emoji"})",
           R"(stepcast_steps_total{kind="wasted",model="emoji"})",
           R"(stepcast_previews_total{result="replaced"})",
           R"(stepcast_embedding_cache_lookups_total{result="hit"})",
           R"(stepcast_engine_last_progress_timestamp_seconds{device="cpu"})",
           R"(stepcast_device_up{device="cpu"})",
           R"(stepcast_device_busy_seconds_total{device="cpu",phase="encode"})",
           R"(stepcast_tick_prediction_error_ratio_count{phase="denoise"})",
           R"(stepcast_rejected_total{reason="DEADLINE_UNREACHABLE"})",
           R"(stepcast_requests_total{code="OK",method="WatchTicks",model=""})",
       }) {
    EXPECT_GE(Value(series), 0) << series;
  }
  for (const Phase phase : kPhases) {
    const std::string label = absl::StrCat("phase=\"", ToAbsl(PhaseName(phase)), "\"}");
    EXPECT_EQ(Value("stepcast_tick_duration_seconds_count{" + label), 0);
    EXPECT_EQ(Value("stepcast_device_busy_seconds_total{device=\"cpu\"," + label), 0);
  }
  EXPECT_THAT(Page(), HasSubstr("stepcast_build_info{commit="));
  EXPECT_THAT(Page(), HasSubstr("stepcast_model_info{device=\"cpu\",dtype=\"fp32\",model=\"emoji\",sha256=\"0000"));
}

TEST_F(ServerMetricsTest, TicksAndJobsAreCounted) {
  metrics_.ObserveTick("denoise", "emoji", 2, 4, absl::Milliseconds(20));
  metrics_.ObserveTick("decode", "emoji", 1, 1, absl::Milliseconds(5));
  metrics_.ObserveTick("denoise", "emoji", 3, 6, absl::Milliseconds(20));
  metrics_.SetQueue(5, 3);
  metrics_.CountJob("emoji", "succeeded", absl::Seconds(2));
  metrics_.CountSteps("emoji", StepKind::kUseful, 20);
  metrics_.CountEmbeddingLookup(true);
  EXPECT_EQ(Value(R"(stepcast_tick_duration_seconds_count{phase="denoise"})"), 2);
  EXPECT_EQ(Value(R"(stepcast_batch_rows_sum{model="emoji"})"), 10) << "rows of denoise ticks only";
  EXPECT_EQ(Value(R"(stepcast_batch_rows_count{model="emoji"})"), 2);
  EXPECT_EQ(Value("stepcast_requests_waiting"), 5);
  EXPECT_EQ(Value("stepcast_requests_running"), 3);
  EXPECT_EQ(Value(R"(stepcast_images_total{finish_reason="succeeded",model="emoji"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_steps_total{kind="useful",model="emoji"})"), 20);
  EXPECT_EQ(Value(R"(stepcast_embedding_cache_lookups_total{result="hit"})"), 1);
}

TEST_F(ServerMetricsTest, TenantsThatNobodyConfiguredShareASeries) {
  metrics_.tenants().Add({"default", "acme"});
  const std::string page = Page();
  metrics_.ChargeTenant("acme", {.device_time = absl::Milliseconds(1500)});
  metrics_.ChargeTenant("default", {.device_time = absl::Milliseconds(250)});
  metrics_.ChargeTenant("evil", {.device_time = absl::Seconds(1)});
  metrics_.ChargeTenant("worse", {.device_time = absl::Seconds(2)});
  EXPECT_EQ(Value(R"(stepcast_tenant_device_seconds_total{tenant="acme"})"), 1.5);
  EXPECT_EQ(Value(R"(stepcast_tenant_device_seconds_total{tenant="default"})"), 0.25);
  EXPECT_EQ(Value(R"(stepcast_tenant_device_seconds_total{tenant="_other"})"), 3);
  EXPECT_LT(Page().size(), page.size() + 64);
}

TEST_F(ServerMetricsTest, ATenantMayBeCalledOther) {
  metrics_.tenants().Add({"default", "other"});
  metrics_.ChargeTenant("other", {.device_time = absl::Seconds(1)});
  metrics_.ChargeTenant("somebody", {.device_time = absl::Seconds(2)});
  EXPECT_EQ(Value(R"(stepcast_tenant_device_seconds_total{tenant="other"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_tenant_device_seconds_total{tenant="_other"})"), 2);
}

TEST_F(ServerMetricsTest, BucketsReachAsFarAsTheConfiguration) {
  metrics_.ObserveTick("denoise", "emoji", 512, 1024, absl::Hours(24));
  metrics_.ObserveQueueWait(absl::Hours(24));
  metrics_.ObserveEncode(absl::Minutes(2));
  EXPECT_EQ(Value(R"(stepcast_tick_duration_seconds_bucket{phase="denoise",le="21600"})"), 0);
  EXPECT_EQ(Value(R"(stepcast_tick_duration_seconds_bucket{phase="denoise",le="86400"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_batch_rows_bucket{model="emoji",le="512"})"), 0);
  EXPECT_EQ(Value(R"(stepcast_batch_rows_bucket{model="emoji",le="1024"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_queue_wait_seconds_bucket{le="86400"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_image_encode_seconds_bucket{le="120"})"), 1);
}

TEST_F(ServerMetricsTest, CallsAreRejectionsOrOutcomes) {
  metrics_.CountCall({.method = "Generate",
                      .model = "emoji",
                      .code = "OK",
                      .reason = "",
                      .admitted = true,
                      .duration = absl::Seconds(3)});
  metrics_.CountCall({.method = "Generate",
                      .model = "emoji",
                      .code = "RESOURCE_EXHAUSTED",
                      .reason = "QUEUE_FULL",
                      .admitted = false,
                      .duration = absl::Milliseconds(1)});
  EXPECT_EQ(Value(R"(stepcast_requests_total{code="OK",method="Generate",model="emoji"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_request_duration_seconds_sum{model="emoji",outcome="succeeded"})"), 3);
  EXPECT_EQ(Value(R"(stepcast_rejected_total{reason="QUEUE_FULL"})"), 1);
}

TEST_F(ServerMetricsTest, OperatorsCallsAndUnreadablePicturesHaveSeriesOfTheirOwn) {
  metrics_.CountCall({.method = "LoadModel",
                      .model = "",
                      .code = "OK",
                      .reason = "",
                      .admitted = false,
                      .duration = absl::Seconds(3)});
  metrics_.CountCall({.method = "Generate",
                      .model = "emoji",
                      .code = "INVALID_ARGUMENT",
                      .reason = "IMAGE_TOO_LARGE",
                      .admitted = false,
                      .duration = absl::Milliseconds(1)});
  EXPECT_EQ(Value(R"(stepcast_requests_total{code="OK",method="LoadModel",model=""})"), 1);
  EXPECT_EQ(Value(R"(stepcast_rejected_total{reason="IMAGE_TOO_LARGE"})"), 1);
  EXPECT_EQ(Value(R"(stepcast_rejected_total{reason="UNKNOWN"})"), 0);
}

TEST_F(ServerMetricsTest, WhoCancelsBeforeAdmissionIsNotRefused) {
  const auto rejections = [this] {
    double sum = 0;
    for (const std::string_view reason : {"UNKNOWN", "DEADLINE", "QUEUE_FULL", "ENGINE_ERROR"}) {
      sum += Value("stepcast_rejected_total{reason=\"" + std::string(reason) + "\"}");
    }
    return sum;
  };
  metrics_.CountCall({.method = "Generate",
                      .model = "emoji",
                      .code = "CANCELLED",
                      .reason = "CLIENT_CANCELLED",
                      .admitted = false,
                      .duration = absl::Milliseconds(1)});
  EXPECT_EQ(Value(R"(stepcast_requests_total{code="CANCELLED",method="Generate",model="emoji"})"), 1);
  EXPECT_EQ(rejections(), 0);
}

TEST_F(ServerMetricsTest, ClientsCannotAddSeries) {
  const size_t before = Page().size();
  metrics_.CountCall({.method = "Generate",
                      .model = "evil",
                      .code = "INVALID_ARGUMENT",
                      .reason = "FIELD_INVALID",
                      .admitted = false,
                      .duration = {}});
  metrics_.CountCall({.method = "Generate",
                      .model = "emoji",
                      .code = "DATA_LOSS",
                      .reason = "ODD",
                      .admitted = false,
                      .duration = {}});
  metrics_.ObserveTick("denoise", "evil", 1, 1, absl::Seconds(1));
  metrics_.CountJob("evil", "succeeded", absl::Seconds(1));
  EXPECT_LT(Page().size(), before + 64) << "values may need more digits, series may not appear";
  EXPECT_EQ(Value(R"(stepcast_requests_total{code="INVALID_ARGUMENT",method="Generate",model=""})"), 1);
  EXPECT_EQ(Value(R"(stepcast_requests_total{code="UNKNOWN",method="Generate",model=""})"), 1);
  EXPECT_EQ(Value(R"(stepcast_rejected_total{reason="UNKNOWN"})"), 1);
}

}  // namespace
}  // namespace stepcast

// What needs a real call (metadata, trailers, client deadlines) is in image_service_test and generate_calls_test.

#include "server/call/call_record.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "server/request/errors/status_mapping.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

TEST(CallRecordTest, WithoutAClientDeadlineTheOperatorsCounts) {
  SimulatedClock clock;
  ServerMetrics metrics(clock);
  for (const absl::Duration limit : {absl::Seconds(120), absl::InfiniteDuration()}) {
    grpc::CallbackServerContext context;
    const CallRecord record("Generate", context, limit, metrics, clock);
    EXPECT_EQ(record.deadline(), clock.Now() + limit);
    EXPECT_EQ(record.arrival(), clock.Now());
    EXPECT_EQ(record.request_id().size(), 16u);
  }
}

TEST(CallRecordTest, FinishCountsAndMaps) {
  SimulatedClock clock;
  ServerMetrics metrics(clock);
  grpc::CallbackServerContext context;
  CallRecord record("ListModels", context, absl::InfiniteDuration(), metrics, clock);
  const grpc::Status status = record.Finish({.status = MakeError({.reason = v1::ERROR_REASON_FIELD_INVALID})});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(status.error_details().empty());
  const std::string page = prometheus::TextSerializer().Serialize(metrics.registry()->Collect());
  EXPECT_NE(page.find(R"(stepcast_requests_total{code="INVALID_ARGUMENT",method="ListModels",model=""} 1)"),
            std::string::npos);
  EXPECT_NE(page.find(R"(stepcast_rejected_total{reason="FIELD_INVALID"} 1)"), std::string::npos);
}

}  // namespace
}  // namespace stepcast

// What needs a real call (metadata, trailers, client deadlines) is in image_service_test and generate_calls_test.

#include "server/call/call_record.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "server/request/errors/status_mapping.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

// A gate that asks for no tokens.
struct Open {
  SimulatedClock clock;
  ServerMetrics metrics{clock};
  Access access{std::make_shared<AccessRules>()};
  Tenants tenants;
  const Gate gate{Port::kPublic, access, tenants, clock};
  const CallBooks books{gate, metrics, clock};
};

TEST(CallRecordTest, WithoutAClientDeadlineTheOperatorsCounts) {
  Open open;
  for (const absl::Duration limit : {absl::Seconds(120), absl::InfiniteDuration()}) {
    grpc::CallbackServerContext context;
    const CallRecord record("Generate", context, open.books, limit);
    EXPECT_EQ(record.deadline(), open.clock.Now() + limit);
    EXPECT_EQ(record.arrival(), open.clock.Now());
    EXPECT_EQ(record.request_id().size(), 16u);
  }
}

TEST(CallRecordTest, FinishCountsAndMaps) {
  Open open;
  grpc::CallbackServerContext context;
  CallRecord record("ListModels", context, open.books);
  const grpc::Status status = record.Finish({.status = MakeError({.reason = v1::ERROR_REASON_FIELD_INVALID})});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(status.error_details().empty());
  const std::string page = prometheus::TextSerializer().Serialize(open.metrics.registry()->Collect());
  EXPECT_NE(page.find(R"(stepcast_requests_total{code="INVALID_ARGUMENT",method="ListModels",model=""} 1)"),
            std::string::npos);
  EXPECT_NE(page.find(R"(stepcast_rejected_total{reason="FIELD_INVALID"} 1)"), std::string::npos);
}

}  // namespace
}  // namespace stepcast

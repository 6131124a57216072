#include "server/process/health.h"

#include <memory>
#include <string>
#include <thread>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "server/process/listener.h"

namespace stepcast {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthTest : public testing::Test {
 protected:
  HealthTest() {
    ListenerOptions options;
    options.name = "test";
    options.host = "127.0.0.1";
    options.services = {&service_};
    auto listener = Listener::Start(options);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    stub_ = Health::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(listener_->port()), grpc::InsecureChannelCredentials()));
  }
  ~HealthTest() override { state_.EndWatches(); }

  HealthCheckRequest Request(std::string_view name) {
    HealthCheckRequest request;
    request.set_service(std::string(name));
    return request;
  }
  // What Check says; SERVICE_UNKNOWN for NOT_FOUND.
  HealthCheckResponse::ServingStatus Check(std::string_view name) {
    grpc::ClientContext context;
    HealthCheckResponse response;
    const grpc::Status status = stub_->Check(&context, Request(name), &response);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) return HealthCheckResponse::SERVICE_UNKNOWN;
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.status();
  }

  HealthState state_;
  HealthService service_{state_};
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Health::Stub> stub_;
};

// gRPC's own health service says SERVING as soon as the port is bound.
TEST_F(HealthTest, StartsNotServing) {
  for (const std::string_view name : {std::string_view(""), kHealthService, kHealthReadiness}) {
    EXPECT_EQ(Check(name), HealthCheckResponse::NOT_SERVING) << name;
  }
  EXPECT_EQ(Check(kHealthLiveness), HealthCheckResponse::SERVING);
  EXPECT_EQ(Check("other"), HealthCheckResponse::SERVICE_UNKNOWN);
}

TEST_F(HealthTest, ReadinessAndLivenessAreApart) {
  state_.SetReady(true);
  for (const std::string_view name : {std::string_view(""), kHealthService, kHealthReadiness}) {
    EXPECT_EQ(Check(name), HealthCheckResponse::SERVING) << name;
  }
  state_.SetLive(false);
  EXPECT_EQ(Check(kHealthLiveness), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check(kHealthReadiness), HealthCheckResponse::SERVING);
}

// A Watch keeps the name that it was asked for.
TEST_F(HealthTest, NamesAreShort) {
  const std::string huge(1 << 20, 'a');
  grpc::ClientContext check, watch;
  HealthCheckResponse response;
  EXPECT_EQ(stub_->Check(&check, Request(huge), &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto reader = stub_->Watch(&watch, Request(huge));
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HealthTest, WatchTellsTheStateAndEachChange) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, Request(kHealthReadiness));
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  state_.SetLive(false);   // of another name
  state_.SetReady(false);  // no change
  state_.SetReady(true);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  state_.SetReady(false);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  state_.EndWatches();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HealthTest, WatchOfAnUnknownNameStaysOpen) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, Request("other"));
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// A reactor that never finishes hangs Shutdown, in gRPC 1.51 even past its deadline.
TEST_F(HealthTest, WatchesDoNotKeepTheServerFromStopping) {
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, Request(""));
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  std::thread stop([this] {
    state_.EndWatches();
    listener_->Shutdown(absl::Seconds(10));
  });
  EXPECT_FALSE(reader->Read(&response));
  reader->Finish();
  stop.join();
}

}  // namespace
}  // namespace stepcast

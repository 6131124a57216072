// After any storm the books add up.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/text_format.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

class BooksTest : public ServiceFixture {
 protected:
  // One call of the kind `i`; what becomes of it is the storm's business.
  void Call(int i) const {
    constexpr const char* kRequests[] = {
        "prompt: 'a' steps: 3 seed: 1",                      // painted
        "prompt: 'a' steps: 3 seed: 1 image_count: 2",       // painted, or there is no room
        "prompt: 'a' steps: 0 seed: 1",                      // refused by name
        "model: 'nobody' prompt: 'a'",                       // refused
        "prompt: 'a' steps: 400 seed: 1",                    // cancelled on the way
        "prompt: 'a' steps: 3 seed: 1 validate_only: true",  // let in and not painted
        "class_index: 3 model: 'digits' steps: 3 seed: 2",   // another model
    };
    const int kind = i % static_cast<int>(std::size(kRequests));
    grpc::ClientContext context;
    context.AddMetadata("x-stepcast-tenant", i % 2 == 0 ? "acme" : absl::StrCat("stranger", i % 5));
    v1::GenerateRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kRequests[kind], &request));
    const auto reader = NewStub()->Generate(&context, request);
    v1::GenerateResponse response;
    if (kind == 4) {
      reader->Read(&response);
      context.TryCancel();
    }
    Drain(*reader, context);
  }
};

TEST_F(BooksTest, EveryCallAndEveryPictureEndsInOneColumn) {
  ServerConfig config = TestConfig();
  config.tenants.named["acme"].max_pictures = 3;
  Start(config);
  constexpr int kThreads = 6;
  constexpr int kCalls = 20;
  std::vector<std::thread> clients;
  for (int t = 0; t < kThreads; ++t) {
    clients.emplace_back([this, t] {
      for (int i = 0; i < kCalls; ++i) Call(t * kCalls + i);
    });
  }
  for (std::thread& client : clients) client.join();
  ASSERT_TRUE(AwaitIdle());

  const double calls = kThreads * kCalls;
  EXPECT_EQ(Series("stepcast_requests_total{"), calls) << "submitted is ended, by code";
  EXPECT_EQ(Series("stepcast_tenant_calls_total{"), calls) << "and by tenant";
  EXPECT_EQ(Series("stepcast_tenant_calls_total{outcome=\"refused\""), Series("stepcast_rejected_total{"));
  EXPECT_EQ(Series("stepcast_tenant_calls_total{outcome=\"succeeded\""), Series("stepcast_requests_total{code=\"OK\""));
  EXPECT_EQ(Series("stepcast_requests_waiting"), 0);
  EXPECT_EQ(Series("stepcast_requests_running"), 0);
  EXPECT_EQ(Series("stepcast_image_duration_seconds_count"), Series("stepcast_images_total{"));
  EXPECT_GT(Series("stepcast_images_total{finish_reason=\"succeeded\""), 0);
  EXPECT_EQ(Series("stepcast_requests_total{code=\"UNKNOWN\""), 0) << "a code that has no series";
  EXPECT_EQ(Series("stepcast_rejected_total{reason=\"UNKNOWN\"}"), 0) << "a reason that has none";
}

TEST_F(BooksTest, AScrapeAsksNobodyInTheMiddleOfATick) {
  Start();
  device_.Hold();
  std::thread client([this] { Generate("prompt: 'a' steps: 1 seed: 1"); });
  EXPECT_TRUE(device_.AwaitHeld());
  EXPECT_EQ(Series("stepcast_requests_running"), 1) << "told while the engine is away";
  device_.Release();
  client.join();
}

}  // namespace
}  // namespace stepcast

// After any storm the books add up.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>
#include <grpc/support/log.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/telemetry/logging.h"
#include "tests/server/service_fixture.h"
#include "tests/support/await.h"

namespace stepcast {
namespace {

// What is logged while it lives, as JSON lines; other libraries' lines go where they went afterwards.
class CapturedLog {
 public:
  CapturedLog() : protobuf_(google::protobuf::SetLogHandler(nullptr)) {
    testing::internal::CaptureStderr();
    InitLogging({.level = LogLevel::kInfo, .format = LogFormat::kJson});
  }
  std::vector<std::string> Lines() {
    EXPECT_TRUE(FlushLog(absl::Seconds(10)));
    const std::string text = testing::internal::GetCapturedStderr();
    InitLogging({});
    gpr_set_log_function(nullptr);
    google::protobuf::SetLogHandler(protobuf_);
    return absl::StrSplit(text, '\n', absl::SkipEmpty());
  }

 private:
  google::protobuf::LogHandler* const protobuf_;
};

class BooksTest : public ServiceFixture {
 protected:
  // One call of the kind `i`; what becomes of it is the storm's business.
  void Call(int i) const {
    constexpr const char* kRequests[] = {
        "prompt: 'a' steps: 3 seed: 1",                       // painted
        "prompt: 'a' steps: 3 seed: 1 image_count: 2",        // painted, or there is no room
        "prompt: 'a' steps: 0 seed: 1",                       // refused by name
        "model: 'nobody' prompt: 'a'",                        // refused
        "class_index: 2 model: 'digits' steps: 900 seed: 1",  // cancelled on the way
        "prompt: 'a' steps: 3 seed: 1 validate_only: true",   // let in and not painted
        "class_index: 3 model: 'digits' steps: 3 seed: 2",    // another model
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

// In the line of each call, also of those that were over before their jobs; in Completed; and by tenant.
TEST_F(BooksTest, WhatCallsCostIsWhatTheDeviceWasBusyWith) {
  FakeDevice device(
      {.latency = [](const StepPlan& plan) { return absl::Nanoseconds(100'003 + 7919 * plan.id); }, .clock = &clock_});
  device.SetFault([](const Job& job, Phase phase) {
    return job.seed() == 2 && phase == Phase::kDenoise && job.position() == 1 ? absl::InternalError("scripted")
                                                                              : absl::OkStatus();
  });
  device.SetCrash([](const StepPlan& plan) { return plan.id % 29 == 0; });
  CapturedLog log;
  ServerConfig config = TestConfig();
  config.tenants.named["acme"] = {};
  Start(config, MakeFakeExecutor(device));
  device.Hold();
  {
    grpc::ClientContext context;
    v1::GenerateRequest request;
    request.set_prompt("c");
    const auto stub = NewStub();
    const auto reader = stub->Generate(&context, request);
    ASSERT_TRUE(device.AwaitHeld());
    context.TryCancel();
    ASSERT_TRUE(Await([this] { return server_->Idle(); })) << "the call is over before its tick";
  }
  device.Release();
  ASSERT_TRUE(AwaitIdle());
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([this, t] {
      for (int i = 0; i < 14; ++i) Call(t * 14 + i);
    });
  }
  for (std::thread& client : clients) client.join();
  const StreamResult result = Generate("prompt: 'a' steps: 3 seed: 5 preview { every_n_steps: 1 }");
  ASSERT_TRUE(AwaitIdle());
  const double busy = Series("stepcast_device_busy_seconds_total{");
  const double rows = Series("stepcast_batch_rows_sum{");
  const double charged = Series("stepcast_tenant_device_seconds_total{");
  const double charged_rows = Series("stepcast_tenant_row_evaluations_total{");
  server_.reset();  // after which nobody writes lines any more
  const std::vector<std::string> lines = log.Lines();

  int calls = 0;
  double told = 0;
  double told_rows = 0;
  double told_to_cancelled = 0;
  for (const std::string& text : lines) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    if (line.is_discarded() || line["msg"] != "call") continue;
    ++calls;
    told += line["device_ms"].get<double>() / 1000;
    told_rows += line["row_evaluations"].get<double>();
    if (line["code"] == "CANCELLED") told_to_cancelled += line["device_ms"].get<double>() / 1000;
    if (line["request_id"] == result.request_id && result.status.ok()) {
      const v1::Cost cost = result.messages.back().completed().cost();
      EXPECT_EQ(cost.row_evaluations(), line["row_evaluations"].get<int64_t>());
      EXPECT_DOUBLE_EQ(cost.device_seconds() * 1000, line["device_ms"].get<double>());
    }
  }
  constexpr double kRounding = 1e-9;  // sums of a few hundred doubles below a second
  EXPECT_EQ(calls, 58);
  EXPECT_GT(told_to_cancelled, 0) << "what a tick took whose picture nobody wanted any more";
  EXPECT_NEAR(told, busy, kRounding);
  EXPECT_NEAR(charged, busy, kRounding);
  EXPECT_EQ(told_rows, rows);
  EXPECT_EQ(charged_rows, rows);
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

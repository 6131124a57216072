// What goes wrong at each stage of a request costs that request alone.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/text_format.h>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/service_fixture.h"
#include "tests/support/await.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

// Where a request is when something happens to it.
struct Stage {
  const char* name;
  Phase phase;
  int position;  // evaluations done
};
constexpr Stage kStages[] = {{"encoded", Phase::kEncode, 0},
                             {"at its first evaluation", Phase::kDenoise, 0},
                             {"in the middle", Phase::kDenoise, 2},
                             {"decoded", Phase::kDecode, 4}};

class FaultsTest : public ServiceFixture {
 protected:
  // The first tick of this kind stands still, before anything has happened to its jobs, until Release().
  void HoldAt(const Stage& stage) {
    arrived_ = std::make_shared<Notification>();
    release_ = std::make_shared<Notification>();
    device_.SetFault([stage, arrived = arrived_, release = release_](const Job& job, Phase phase) {
      if (phase == stage.phase && job.position() == stage.position && !arrived->notified()) {
        arrived->Notify();
        EXPECT_TRUE(release->Await());
      }
      return absl::OkStatus();
    });
  }
  [[nodiscard]] bool AwaitHeld() { return arrived_->Await(); }
  void Release() { release_->Notify(); }

  // Until `images` wait or are being painted.
  [[nodiscard]] bool AwaitAdmitted(int images) const {
    return Await([&] { return Series("stepcast_requests_running") + Series("stepcast_requests_waiting") == images; });
  }

  // Nothing is left of those before, and whoever comes now is painted.
  void ExpectNothingLeft() {
    ASSERT_TRUE(AwaitIdle());
    EXPECT_EQ(device_.live_states(), 0);
    EXPECT_EQ(Series("stepcast_requests_running"), 0);
    EXPECT_EQ(Series("stepcast_requests_waiting"), 0);
    EXPECT_TRUE(Generate("prompt: 'b' steps: 2 seed: 9").status.ok());
  }

  static constexpr char kRequest[] = "prompt: 'a' steps: 4 seed: 1";
  static v1::GenerateRequest Message(const std::string& text) {
    v1::GenerateRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
    return request;
  }

  std::shared_ptr<Notification> arrived_;
  std::shared_ptr<Notification> release_;
};

TEST_F(FaultsTest, AClientMayGoAtAnyStage) {
  Start();
  for (const Stage& stage : kStages) {
    SCOPED_TRACE(stage.name);
    const double before = Series("stepcast_images_total{finish_reason=\"cancelled\"");
    HoldAt(stage);
    {
      grpc::ClientContext context;
      const auto stub = NewStub();
      const auto reader = stub->Generate(&context, Message(kRequest));
      ASSERT_TRUE(AwaitHeld());
      // Its connection goes with the channel, without a word.
    }
    ASSERT_TRUE(Await([this] { return server_->Idle(); })) << "the call ends while the engine still works";
    Release();
    ExpectNothingLeft();
    EXPECT_EQ(Series("stepcast_images_total{finish_reason=\"cancelled\""), before + 1);
  }
}

TEST_F(FaultsTest, AClientMayGoWhileItWaits) {
  ServerConfig config = TestConfig();
  config.scheduler.policy.name = "serial";
  Start(config);
  HoldAt(kStages[0]);
  std::thread first([this] { EXPECT_TRUE(Generate(kRequest).status.ok()); });
  ASSERT_TRUE(AwaitHeld());
  {
    grpc::ClientContext context;
    const auto stub = NewStub();
    const auto reader = stub->Generate(&context, Message("prompt: 'c' steps: 4 seed: 3"));
    v1::GenerateResponse response;
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_TRUE(response.has_accepted());
  }
  EXPECT_TRUE(Await([this] { return Series("stepcast_images_total{finish_reason=\"cancelled\"") == 1; }))
      << "at once, not when the tick is over";
  Release();
  first.join();
  ExpectNothingLeft();
}

TEST_F(FaultsTest, ADeadlineMayPassAtAnyStage) {
  Start();
  for (const Stage& stage : kStages) {
    SCOPED_TRACE(stage.name);
    HoldAt(stage);
    std::thread client([this] {
      grpc::ClientContext context;
      context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_hours(1, GPR_TIMESPAN)));
      const StreamResult result = Generate(kRequest, context);
      EXPECT_EQ(result.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
      EXPECT_EQ(result.reason, "DEADLINE");
      EXPECT_TRUE(result.Of(v1::GenerateResponse::kImageChunk).empty());
    });
    ASSERT_TRUE(AwaitHeld());
    clock_.Advance(absl::Hours(2));
    // Mail, with which the desk looks at this clock; a real one wakes it.
    EXPECT_TRUE(Generate("prompt: 'b' validate_only: true").status.ok());
    Release();
    client.join();
    ExpectNothingLeft();
  }
}

TEST_F(FaultsTest, NonsenseAtAnyEvaluationCostsItsPictureAlone) {
  Start();
  const std::string healthy = Generate("prompt: 'h' steps: 4 seed: 7").Pictures(1).front();
  for (int k = 0; k < 4; ++k) {
    device_.SetFault([k](const Job& job, Phase phase) {
      return phase == Phase::kDenoise && job.seed() == 1 && job.position() == k
                 ? WithReason(absl::InternalError("NaN"), "NUMERIC_FAULT")
                 : absl::OkStatus();
    });
    device_.Hold();
    std::thread sick([this] {
      const StreamResult result = Generate(kRequest);
      EXPECT_EQ(result.reason, "NUMERIC_FAULT");
      EXPECT_TRUE(result.Of(v1::GenerateResponse::kImageChunk).empty());
    });
    std::thread neighbour([&] { EXPECT_EQ(Generate("prompt: 'h' steps: 4 seed: 7").Pictures(1).front(), healthy); });
    ASSERT_TRUE(AwaitAdmitted(2));
    device_.Release();
    sick.join();
    neighbour.join();
    ExpectNothingLeft();
  }
}

// Whoever makes the engine fail is refused for ten minutes; other requests, and the same by another seed, are not.
TEST_F(FaultsTest, ARequestThatMakesTheEngineFailIsQuarantined) {
  Start();
  device_.SetFault([](const Job& job, Phase phase) {
    return phase == Phase::kDenoise && job.seed() == 2 ? WithReason(absl::InternalError("kernel"), "ENGINE_ERROR")
                                                       : absl::OkStatus();
  });
  const std::string poison = "prompt: 'a' steps: 4 seed: 1 image_count: 2";
  EXPECT_EQ(Generate(poison).reason, "ENGINE_ERROR");
  const int plans = device_.plans();
  for (const char* same : {"prompt: 'a' steps: 4 seed: 1 image_count: 2", "prompt: 'a' steps: 4 seed: 2",
                           "prompt: 'a' steps: 4 seed: 2 validate_only: true"}) {
    const StreamResult again = Generate(same);
    EXPECT_EQ(again.status.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(again.reason, "ENGINE_ERROR");
    EXPECT_THAT(again.status.error_message(), HasSubstr("refused for"));
    EXPECT_TRUE(again.messages.empty());
  }
  EXPECT_EQ(device_.plans(), plans) << "it costs nobody a tick";
  EXPECT_EQ(Series("stepcast_quarantine_total{event=\"entered\"}"), 1);
  EXPECT_EQ(Series("stepcast_quarantine_total{event=\"refused\"}"), 3);
  EXPECT_TRUE(Generate("prompt: 'a' steps: 4 seed: 1").status.ok()) << "the healthy one of the two";
  EXPECT_TRUE(Generate("prompt: 'b' steps: 4 seed: 3").status.ok());
  device_.SetFault([](const Job&, Phase) { return absl::OkStatus(); });
  clock_.Advance(Quarantine::kTime);
  EXPECT_TRUE(Generate(poison).status.ok());
}

// Of a tick that failed as a whole nobody knows whose fault it was: nobody is shut out.
TEST_F(FaultsTest, NeighboursOfACrashAreNotQuarantined) {
  Start();
  std::atomic<bool> crashes = true;
  device_.SetCrash([&crashes](const StepPlan& plan) { return plan.phase() == Phase::kDenoise && crashes; });
  const std::string pair = "prompt: 'a' steps: 4 seed: 1 image_count: 2";
  EXPECT_EQ(Generate(pair).reason, "ENGINE_ERROR");
  crashes = false;
  EXPECT_TRUE(Generate(pair).status.ok());
}

// Ten times as many as there is room for, at once: those who were let in are painted, the others told when to come.
TEST_F(FaultsTest, ABurstOfTenTimesTheRoomIsRefusedAndHarmsNobody) {
  Start();  // a queue of 8
  device_.Hold();
  std::atomic<int> painted = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> clients;
  constexpr int kCalls = 80;
  for (int i = 0; i < kCalls; ++i) {
    clients.emplace_back([&, i] {
      const StreamResult result = Generate(absl::StrCat("prompt: 'a' steps: 2 seed: ", i));
      if (result.status.ok()) {
        ++painted;
      } else {
        EXPECT_EQ(result.reason, "QUEUE_FULL");
        EXPECT_NE(result.pushback, "");
        EXPECT_TRUE(result.messages.empty());
        ++refused;
      }
    });
  }
  EXPECT_TRUE(Await([&] { return refused + server_->live_calls() == kCalls && refused >= kCalls - 16; }));
  device_.Release();
  for (std::thread& client : clients) client.join();
  EXPECT_GE(painted, 8);
  EXPECT_EQ(painted + refused, kCalls);
  EXPECT_EQ(Series("stepcast_rejected_total{reason=\"QUEUE_FULL\"}"), refused);
  ExpectNothingLeft();
}

// One tenant that floods the server gets its share and no more.
TEST_F(FaultsTest, AFloodOfOneTenantLeavesTheOthersTheirShare) {
  ServerConfig config = TestConfig();
  config.scheduler.admission.max_queued_jobs = 64;
  config.tenants.named["flood"].max_pictures = 12;
  config.tenants.named["quiet"] = {};
  // Shares are shares of time.
  FakeDevice device(
      {.latency = [](const StepPlan& plan) { return absl::Milliseconds(5 + plan.rows); }, .clock = &clock_});
  Start(config, MakeFakeExecutor(device));
  device.Hold();
  std::atomic<int> refused = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back([&, i] {
      grpc::ClientContext context;
      context.AddMetadata("x-stepcast-tenant", "flood");
      const StreamResult result = Generate(absl::StrCat("prompt: 'a' steps: 40 seed: ", i), context);
      if (!result.status.ok()) {
        EXPECT_EQ(result.reason, "TENANT_LIMIT") << result.status.error_code() << result.status.error_message();
        ++refused;
      }
    });
  }
  ASSERT_TRUE(Await([&] { return refused == 28; }));
  std::atomic<int> plans = 0;
  std::atomic<int> plans_of_the_quiet_one = 0;
  device.SetCrash([&plans](const StepPlan&) {
    ++plans;
    return false;
  });
  device.SetFault([&](const Job& job, Phase phase) {
    if (job.request().tenant == "quiet" && phase == Phase::kDecode) plans_of_the_quiet_one = plans.load();
    return absl::OkStatus();
  });
  std::thread quiet([&] {
    grpc::ClientContext context;
    context.AddMetadata("x-stepcast-tenant", "quiet");
    EXPECT_TRUE(Generate("prompt: 'q' steps: 4 seed: 1", context).status.ok());
  });
  ASSERT_TRUE(AwaitAdmitted(13));
  device.Release();
  quiet.join();
  for (std::thread& client : clients) client.join();
  // All of the flood is 12 x 40 evaluations; the quiet one's four wait for no picture of it to end.
  EXPECT_GT(plans_of_the_quiet_one, 0);
  EXPECT_LT(plans_of_the_quiet_one, plans / 2) << plans;
  ExpectNothingLeft();
  server_.reset();  // before its device
}

// Whether the device answers or not, pages, probes and queries do.
TEST_F(FaultsTest, WhileTheDeviceHangsTheServerAnswers) {
  Start();
  device_.Hold();
  std::thread client([this] { Generate(kRequest); });
  ASSERT_TRUE(device_.AwaitHeld());
  clock_.Advance(absl::Hours(1));
  server_->Housekeep();
  EXPECT_EQ(Series("stepcast_requests_running"), 1);
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  EXPECT_TRUE(NewStub()->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(Generate("prompt: 'a' steps: 0").reason, "FIELD_INVALID");
  device_.Release();
  client.join();
  ExpectNothingLeft();
}

}  // namespace
}  // namespace stepcast

// The operators' service over real gRPC, on the admin port.

#include "server/operators/scheduler_service.h"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grpcpp/generic/generic_stub.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class SchedulerServiceTest : public ServiceFixture {
 protected:
  std::unique_ptr<v1::SchedulerService::Stub> AdminStub() const {
    return v1::SchedulerService::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->ports().admin), grpc::InsecureChannelCredentials()));
  }
  grpc::Status GetSchedule(v1::GetScheduleResponse& response) const {
    grpc::ClientContext context;
    return AdminStub()->GetSchedule(&context, {}, &response);
  }
};

TEST_F(SchedulerServiceTest, IsNotOnThePublicPort) {
  Start();
  const auto stub = v1::SchedulerService::NewStub(NewChannel());
  grpc::ClientContext context;
  v1::GetScheduleResponse response;
  EXPECT_EQ(stub->GetSchedule(&context, {}, &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(SchedulerServiceTest, EveryTickIsToldInOrder) {
  Start();
  const auto stub = AdminStub();
  grpc::ClientContext watching;
  const auto reader = stub->WatchTicks(&watching, {});
  reader->WaitForInitialMetadata();  // from here on nothing is missed
  ASSERT_TRUE(Generate(R"(prompt: "a" steps: 3)").status.ok());
  std::vector<v1::Tick> ticks;
  v1::WatchTicksResponse response;
  while (ticks.size() < 5 && reader->Read(&response)) {
    EXPECT_EQ(response.dropped(), 0);
    ticks.push_back(response.tick());
  }
  ASSERT_THAT(ticks, SizeIs(5));
  const v1::TickPhase phases[] = {v1::TICK_PHASE_ENCODE, v1::TICK_PHASE_DENOISE, v1::TICK_PHASE_DENOISE,
                                  v1::TICK_PHASE_DENOISE, v1::TICK_PHASE_DECODE};
  const int positions[] = {0, 0, 1, 2, 3};
  for (size_t i = 0; i < ticks.size(); ++i) {
    SCOPED_TRACE(ticks[i].ShortDebugString());
    EXPECT_EQ(ticks[i].device(), "cpu");
    EXPECT_EQ(ticks[i].plan_id(), static_cast<int64_t>(i) + 1);
    EXPECT_EQ(ticks[i].key().phase(), phases[i]);
    EXPECT_EQ(ticks[i].key().model(), "texty");
    EXPECT_EQ(ticks[i].rows(), phases[i] == v1::TICK_PHASE_DENOISE ? 2 : 1);
    EXPECT_TRUE(ticks[i].has_start_time());
    EXPECT_TRUE(ticks[i].has_measured_cost());
    ASSERT_EQ(ticks[i].jobs_size(), 1);
    EXPECT_EQ(ticks[i].jobs(0).job_id(), 1);
    EXPECT_EQ(ticks[i].jobs(0).position(), positions[i]);
    EXPECT_EQ(ticks[i].jobs(0).evaluations(), 3);
    EXPECT_FALSE(ticks[i].jobs(0).failed());
  }
  watching.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Await(
      [this] { return Series(R"(stepcast_requests_total{code="CANCELLED",method="WatchTicks",model=""})") == 1; }));
}

TEST_F(SchedulerServiceTest, AJobThatFailsInATickIsMarked) {
  Start();
  device_.SetFault([](const Job&, Phase phase) {
    return phase == Phase::kDenoise ? absl::InternalError("broken") : absl::OkStatus();
  });
  grpc::ClientContext watching;
  const auto stub = AdminStub();
  const auto reader = stub->WatchTicks(&watching, {});
  reader->WaitForInitialMetadata();
  EXPECT_FALSE(Generate(R"(prompt: "a" steps: 3)").status.ok());
  v1::WatchTicksResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_FALSE(response.tick().jobs(0).failed());
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.tick().jobs(0).failed());
  watching.TryCancel();
  (void)reader->Finish();
}

TEST_F(SchedulerServiceTest, AWatcherThatDoesNotReadHarmsNobodyAndIsToldWhatItMissed) {
  ServerConfig config = TestConfig();
  config.scheduler.heartbeat = absl::Minutes(1);
  Start(std::move(config));
  grpc::ChannelArguments narrow;
  narrow.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  narrow.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16384);
  narrow.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = v1::SchedulerService::NewStub(grpc::CreateCustomChannel(
      "127.0.0.1:" + std::to_string(server_->ports().admin), grpc::InsecureChannelCredentials(), narrow));
  grpc::ClientContext watching;
  const auto reader = stub->WatchTicks(&watching, {});
  reader->WaitForInitialMetadata();
  int64_t ticks = 0;
  while (ticks < 6000) {
    const StreamResult result = Generate(R"(model: "digits" class_label: "7" steps: 1000)");
    ASSERT_TRUE(result.status.ok()) << result.status.error_message();
    ticks += 1001;
  }
  ASSERT_TRUE(AwaitIdle());
  const int64_t made = device_.plans();
  v1::WatchTicksResponse response;
  int64_t read = 0;
  int64_t last = 0;
  while (last < made && reader->Read(&response)) {
    ++read;
    EXPECT_GT(response.tick().plan_id(), last);
    last = response.tick().plan_id();
  }
  EXPECT_GT(response.dropped(), 0);
  EXPECT_EQ(read + response.dropped(), made);
  watching.TryCancel();
  (void)reader->Finish();
}

TEST_F(SchedulerServiceTest, OneDeviceCanBeWatchedAndUnknownOnesAreNamed) {
  Start();
  const auto stub = AdminStub();
  for (const auto& [device, code] :
       {std::pair{"cpu", grpc::StatusCode::CANCELLED}, {"cuda:7", grpc::StatusCode::INVALID_ARGUMENT}}) {
    grpc::ClientContext context;
    v1::WatchTicksRequest request;
    request.set_device(device);
    const auto reader = stub->WatchTicks(&context, request);
    reader->WaitForInitialMetadata();
    context.TryCancel();
    const grpc::Status status = reader->Finish();
    if (code == grpc::StatusCode::CANCELLED) {
      EXPECT_EQ(status.error_code(), code);
    } else if (status.error_code() == code) {  // unless the cancel was quicker
      EXPECT_THAT(ViolationsIn(status), testing::ElementsAre("device"));
    }
  }
}

TEST_F(SchedulerServiceTest, TheScheduleShowsWhatRunsAndWhatWaits) {
  ServerConfig config = TestConfig();
  config.scheduler.policy.name = "serial";
  Start(std::move(config));
  device_.Hold();
  grpc::ClientContext first_context;
  first_context.AddMetadata("x-stepcast-tenant", "acme");
  v1::GenerateRequest request;
  request.set_prompt("a");
  request.set_steps(4);
  request.set_priority(v1::PRIORITY_INTERACTIVE);
  const auto stub = NewStub();
  const auto first = stub->Generate(&first_context, request);
  ASSERT_TRUE(device_.AwaitHeld());
  grpc::ClientContext second_context;
  second_context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(3600, GPR_TIMESPAN)));
  request.clear_priority();
  const auto second = stub->Generate(&second_context, request);
  ASSERT_TRUE(Await([this] { return server_->live_calls() == 2; }));

  v1::GetScheduleResponse schedule;
  grpc::Status status;
  std::thread asking([&] { status = GetSchedule(schedule); });
  device_.Release();
  // Whether the second was read before or after the question, the first is there while it runs.
  asking.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(schedule.policy(), "serial");
  ASSERT_EQ(schedule.devices_size(), 1);
  EXPECT_EQ(schedule.devices(0).device().name(), "cpu");
  EXPECT_EQ(schedule.devices(0).device().state(), v1::DEVICE_STATE_SERVING);
  for (const v1::ScheduledJob& job : schedule.devices(0).jobs()) {
    EXPECT_EQ(job.model(), "texty");
    EXPECT_EQ(job.evaluations(), 4);
    EXPECT_EQ(job.has_deadline_in(), job.job_id() == 2);
    EXPECT_EQ(job.tenant(), job.job_id() == 1 ? "acme" : "default");
    EXPECT_EQ(job.priority(), job.job_id() == 1 ? v1::PRIORITY_INTERACTIVE : v1::PRIORITY_STANDARD);
  }
  EXPECT_TRUE(Drain(*first, first_context).status.ok());
  EXPECT_TRUE(Drain(*second, second_context).status.ok());
}

TEST_F(SchedulerServiceTest, BeforeTheModelsAreLoadedAndAfterTheStop) {
  Bind();
  v1::GetScheduleResponse schedule;
  EXPECT_EQ(ReasonIn(GetSchedule(schedule)), "MODEL_LOADING");
  const auto stub = AdminStub();
  {
    grpc::ClientContext context;
    const auto reader = stub->WatchTicks(&context, {});
    v1::WatchTicksResponse response;
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_EQ(ReasonIn(reader->Finish()), "MODEL_LOADING");
  }
  ServeModels();
  grpc::ClientContext context;
  const auto reader = stub->WatchTicks(&context, {});
  reader->WaitForInitialMetadata();
  // Nobody reads mail while a job is started.
  const auto starts = std::make_shared<Notification>();
  const auto go_on = std::make_shared<Notification>();
  device_.SetStartFault([starts, go_on](const Job&) {
    starts->Notify();
    return go_on->Await() ? absl::OkStatus() : absl::InternalError("held for ever");
  });
  grpc::ClientContext painting;
  v1::GenerateRequest request;
  request.set_prompt("a");
  const auto public_stub = NewStub();
  const auto stream = public_stub->Generate(&painting, request);
  ASSERT_TRUE(starts->Await());
  grpc::Status hanging;
  std::thread asking([&] { hanging = GetSchedule(schedule); });
  // A stop waits neither for watchers nor for an engine that does not answer.
  server_->StopServing();
  asking.join();
  // CANCELLED: gRPC shut down before it had handed the call over.
  EXPECT_THAT(hanging.error_code(), AnyOf(grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::CANCELLED));
  v1::WatchTicksResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(ReasonIn(reader->Finish()), "DRAINING");
  go_on->Notify();
}

// Also those whose headers are on their way and gRPC has not said so yet: one of many, in one of a few rounds.
TEST_F(SchedulerServiceTest, AStopTellsEveryWatcherWhy) {
  for (int round = 0; round < 12; ++round) {
    Start();
    const auto stub = AdminStub();
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchTicksResponse>>> readers;
    for (int i = 0; i < 64; ++i) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      readers.push_back(stub->WatchTicks(contexts.back().get(), {}));
    }
    for (const auto& reader : readers) reader->WaitForInitialMetadata();
    server_->StopServing();
    for (const auto& reader : readers) {
      v1::WatchTicksResponse response;
      EXPECT_FALSE(reader->Read(&response));
      EXPECT_EQ(ReasonIn(reader->Finish()), "DRAINING");
    }
    server_.reset();
  }
}

TEST_F(SchedulerServiceTest, MalformedBytesAreNamed) {
  Start();
  grpc::ClientContext context;
  const auto channel =
      grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->ports().admin), grpc::InsecureChannelCredentials());
  const std::string bytes =
      "\x0a\x7f"
      "abc";
  const grpc::Status status = CallRaw(channel, context, "/stepcast.v1.SchedulerService/GetSchedule", bytes);
  EXPECT_EQ(ReasonIn(status), "MALFORMED_REQUEST");
}

}  // namespace
}  // namespace stepcast

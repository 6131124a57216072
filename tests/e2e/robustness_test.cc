// Clients that misbehave, and the end of a server's life.

#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

namespace v1 = ::stepcast::v1;

v1::GenerateRequest LongRequest() {
  v1::GenerateRequest request;
  request.set_prompt("panda");
  request.set_seed(1);
  request.set_steps(150);
  request.set_sampler(v1::SAMPLER_DDIM);
  return request;
}

// Asks until nothing is queued or running; every look is a round trip, so this neither sleeps nor spins dry.
v1::QueueState WaitUntilIdle(const Server& server) {
  auto stub = server.NewStub();
  v1::GetServerInfoResponse info;
  do {
    grpc::ClientContext context;
    const grpc::Status status = stub->GetServerInfo(&context, {}, &info);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (!status.ok()) break;
  } while (info.queue().running() + info.queue().waiting() > 0);
  return info.queue();
}

TEST(RobustnessTest, ACancelledRequestStopsAtOnce) {
  Server server;
  const int64_t before = WaitUntilIdle(server).ticks();
  auto stub = server.NewStub();
  grpc::ClientContext context;
  auto reader = stub->Generate(&context, LongRequest());
  v1::GenerateResponse response;
  int seen = 0;
  while (seen < 3 && reader->Read(&response)) {
    if (response.has_progress() && response.progress().evaluations_done() > 0)
      seen = response.progress().evaluations_done();
  }
  context.TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const int64_t ticks = WaitUntilIdle(server).ticks() - before;
  // 150 evaluations would have been 150 ticks and more. The rest allows for ticks that ran while the progress
  // and the cancel crossed the wire on a busy machine.
  EXPECT_LT(ticks, seen + 40);
}

TEST(RobustnessTest, AClientThatVanishesFreesItsRows) {
  Server server;
  {
    auto stub = server.NewStub();
    grpc::ClientContext context;
    auto reader = stub->Generate(&context, LongRequest());
    v1::GenerateResponse response;
    ASSERT_TRUE(reader->Read(&response));
    // The channel, with its connection, goes with the stub.
    context.TryCancel();
  }
  EXPECT_EQ(WaitUntilIdle(server).running(), 0);
}

TEST(RobustnessTest, AClientThatStopsReadingHarmsNobody) {
  Server server;
  v1::GenerateRequest request = LongRequest();
  request.set_image_count(4);
  request.mutable_preview()->set_every_n_steps(6);
  request.mutable_preview()->set_format(v1::IMAGE_FORMAT_PNG);
  auto stub = server.NewStub();
  grpc::ClientContext stalled;
  auto reader = stub->Generate(&stalled, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(reader->Read(&response));  // Accepted; nothing is read after it

  v1::GenerateRequest other;
  other.set_prompt("a red apple");
  const StreamResult result = Generate(server, other);
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.images.size(), 1u);
  WaitUntilIdle(server);

  // Whoever wakes up later still gets every picture.
  int pictures = 0;
  while (reader->Read(&response)) {
    if (response.has_image_chunk() && !response.image_chunk().sha256().empty()) ++pictures;
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(pictures, 4);
}

TEST(RobustnessTest, ADeadlineEndsTheCallAndTheWork) {
  Server server;
  grpc::ClientContext context;
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(300, GPR_TIMESPAN)));
  v1::GenerateRequest request = LongRequest();
  request.set_image_count(4);
  const StreamResult result = Generate(server, request, context);
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(WaitUntilIdle(server).running(), 0);
}

TEST(RobustnessTest, SigtermLetsRunningWorkFinish) {
  Server server;
  auto stub = server.NewStub();
  grpc::ClientContext context;
  v1::GenerateRequest request = LongRequest();
  request.set_steps(60);
  auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(reader->Read(&response));
  server.process().Signal(SIGTERM);
  bool picture = false;
  while (reader->Read(&response)) picture |= response.has_image_chunk();
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(picture);
  EXPECT_EQ(server.process().Wait(), 0) << server.log();
}

TEST(RobustnessTest, APortInUseIsOneLineAndExitCode2) {
  Server server;
  const std::string port = server.address().substr(server.address().find(':') + 1);
  const ExitReport report =
      RunProgram({BinaryPath("stepcast-server"), std::string("--models_dir=") + STEPCAST_SOURCE_DIR + "/models",
                  "--port=" + port, "--admin_port=-1", "--metrics_port=-1"});
  EXPECT_EQ(report.code, 2) << report.output;
  EXPECT_THAT(report.output, testing::HasSubstr(port));
}

TEST(RobustnessTest, AMissingModelIsOneLineAndExitCode) {
  const ExitReport report = RunProgram({BinaryPath("stepcast-server"), "--models_dir=/nonexistent", "--port=0"});
  EXPECT_NE(report.code, 0);
  EXPECT_THAT(report.output, testing::HasSubstr("/nonexistent"));
}

}  // namespace
}  // namespace stepcast::e2e

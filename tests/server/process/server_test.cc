// The assembled server: ports, readiness, liveness, drain, the metrics page.

#include "server/process/server.h"

#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error_reason.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/server/fake_models.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

class ServerTest : public ServiceFixture {
 protected:
  HealthCheckResponse::ServingStatus Health(int port, std::string_view name) const {
    const auto stub = grpc::health::v1::Health::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(std::string(name));
    HealthCheckResponse response;
    EXPECT_TRUE(stub->Check(&context, request, &response).ok());
    return response.status();
  }
};

TEST_F(ServerTest, IsReadyOnceItsModelsAreLoaded) {
  Bind();
  for (const int port : {server_->ports().grpc, server_->ports().admin}) {
    EXPECT_EQ(Health(port, kHealthReadiness), HealthCheckResponse::NOT_SERVING);
    EXPECT_EQ(Health(port, kHealthLiveness), HealthCheckResponse::SERVING);
  }
  ServeModels();
  for (const int port : {server_->ports().grpc, server_->ports().admin}) {
    for (const std::string_view name : {std::string_view(""), kHealthService, kHealthReadiness}) {
      EXPECT_EQ(Health(port, name), HealthCheckResponse::SERVING) << name;
    }
  }
  server_->AnnounceNotReady();
  EXPECT_EQ(Health(server_->ports().grpc, ""), HealthCheckResponse::NOT_SERVING);
  EXPECT_TRUE(Generate(R"(prompt: "a" steps: 1)").status.ok()) << "not ready, but still serving";
}

TEST_F(ServerTest, WithAProfileToMakeItIsReadyAfterIt) {
  ServerConfig config = TestConfig();
  config.scheduler.profile.budget = absl::Seconds(1);
  Start(std::move(config));
  EXPECT_EQ(Health(server_->ports().grpc, kHealthReadiness), HealthCheckResponse::NOT_SERVING);
  EXPECT_TRUE(Await([this] {
    server_->Housekeep();
    return Health(server_->ports().grpc, kHealthReadiness) == HealthCheckResponse::SERVING;
  }));
  server_->AnnounceNotReady();
  server_->Housekeep();
  EXPECT_EQ(Health(server_->ports().grpc, kHealthReadiness), HealthCheckResponse::NOT_SERVING) << "for good";
}

TEST_F(ServerTest, TheAdminPortPaintsNothing) {
  Start();
  const auto stub = v1::ImageGenerationService::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->ports().admin), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, v1::GenerateRequest());
  EXPECT_EQ(Drain(*reader, context).status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServerTest, WritesThePortFileWhenItListens) {
  ServerConfig config = TestConfig();
  config.port_file = testing::TempDir() + "stepcast_server_test_ports.json";
  config.listen.admin_port.reset();
  Bind(config);
  std::ifstream file(config.port_file);
  const auto ports = nlohmann::json::parse(file, nullptr, false);
  EXPECT_EQ(ports.value("port", -1), server_->ports().grpc);
  EXPECT_EQ(ports.value("admin_port", -1), 0) << "off";
  EXPECT_EQ(ports.value("metrics_port", -1), 0);
  std::remove(config.port_file.c_str());

  config.port_file = testing::TempDir() + "absent/folder/ports.json";
  const auto failed = Server::Create(config, clock_);
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("port_file"));
}

TEST_F(ServerTest, EachPortInUseIsNamed) {
  ServerConfig all = TestConfig();
  all.listen.metrics_port = 0;
  Bind(all);
  const ServerPorts taken = server_->ports();
  struct Row {
    int grpc, admin, metrics;
    std::string named;
  };
  const Row rows[] = {{taken.grpc, 0, 0, "gRPC cannot listen on 127.0.0.1:"},
                      {0, taken.admin, 0, "admin gRPC cannot listen on 127.0.0.1:"},
                      {0, 0, taken.metrics, "metrics cannot listen on 127.0.0.1:"}};
  for (const Row& row : rows) {
    ServerConfig config = TestConfig();
    config.listen.port = row.grpc;
    config.listen.admin_port = row.admin;
    config.listen.metrics_port = row.metrics;
    const auto second = Server::Create(config, clock_);
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr(row.named));
  }
}

TEST_F(ServerTest, ModelsThatCannotBeServedAreErrors) {
  Bind();
  LoadedEngine engine;
  ModelInfo model = TextModel();
  model.tokenizer_dirs = {"absent"};
  engine.models = {Share(model)};
  engine.devices.push_back({.name = "cpu", .executor = MakeFakeExecutor(device_)});
  EXPECT_FALSE(server_->Serve(std::move(engine), &LoadFakeTokenizer).ok());
}

TEST_F(ServerTest, AModelThatCannotBeServedStopsNoOther) {
  ServerConfig config = TestConfig();
  config.default_model = "gone";
  Bind(config);
  LoadedEngine engine;
  ModelInfo bad = TextModel("bad");
  bad.tokenizer_dirs = {"absent"};
  engine.models = {Share(bad), Share(TextModel())};
  engine.refused = {{"gone", "model 'gone': it could not be loaded"}};
  engine.profile_keys = {{.phase = Phase::kDenoise, .model = "bad", .latent_height = 8, .latent_width = 8}};
  engine.devices.push_back({.name = "cpu", .executor = MakeFakeExecutor(device_)});
  ASSERT_TRUE(server_->Serve(std::move(engine), &LoadFakeTokenizer).ok());
  ASSERT_EQ(server_->models().size(), 1u);
  EXPECT_EQ(server_->models()[0]->id, TextModel().id) << "stands in for the default";
  EXPECT_EQ(Generate(R"(prompt: "a" steps: 1 model: "bad")").reason, "MODEL_NOT_FOUND");
}

TEST_F(ServerTest, ARunCanBeRecorded) {
  ServerConfig config = TestConfig();
  config.record_file = testing::TempDir() + "stepcast_server_test_recording";
  Start(config);
  EXPECT_TRUE(Generate(R"(prompt: "a secret" steps: 2)").status.ok());
  ASSERT_TRUE(AwaitIdle());
  server_.reset();
  std::ifstream file(config.record_file);
  const std::string recording((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(recording.rfind("stepcast-recording 3", 0), 0u) << recording;
  EXPECT_THAT(recording, HasSubstr("texty"));
  EXPECT_THAT(recording, HasSubstr("\nE ")) << "ended regularly";
  EXPECT_THAT(recording, testing::Not(HasSubstr("secret")));
  std::remove(config.record_file.c_str());

  config.record_file = testing::TempDir() + "absent/folder/recording";
  Bind(config);
  LoadedEngine engine;
  engine.models = {Share(TextModel())};
  engine.devices.push_back({.name = "cpu", .executor = MakeFakeExecutor(device_)});
  EXPECT_TRUE(absl::IsUnavailable(server_->Serve(std::move(engine), &LoadFakeTokenizer)));
}

TEST_F(ServerTest, LivenessNeedsProgressOnlyWhileWorkIsPending) {
  Start();
  EXPECT_TRUE(Generate(R"(prompt: "a" steps: 1)").status.ok());
  ASSERT_TRUE(AwaitIdle());
  clock_.Advance(absl::Hours(5));
  server_->Housekeep();
  EXPECT_EQ(Health(server_->ports().admin, kHealthLiveness), HealthCheckResponse::SERVING) << "idle is fine";

  device_.Hold();
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.set_prompt("a");
  const auto stub = NewStub();
  const auto reader = stub->Generate(&context, request);
  ASSERT_TRUE(device_.AwaitHeld());
  server_->Housekeep();
  EXPECT_EQ(Health(server_->ports().admin, kHealthLiveness), HealthCheckResponse::SERVING)
      << "the work has only just come";
  clock_.Advance(absl::Seconds(119));
  server_->Housekeep();
  EXPECT_EQ(Health(server_->ports().admin, kHealthLiveness), HealthCheckResponse::SERVING);
  clock_.Advance(absl::Seconds(2));
  server_->Housekeep();
  EXPECT_EQ(Health(server_->ports().admin, kHealthLiveness), HealthCheckResponse::NOT_SERVING);

  device_.Release();
  Drain(*reader, context);
  ASSERT_TRUE(AwaitIdle());
  server_->Housekeep();
  EXPECT_EQ(Health(server_->ports().admin, kHealthLiveness), HealthCheckResponse::SERVING);
}

TEST_F(ServerTest, ALostDeviceEndsReadinessAndLiveness) {
  Start();
  device_.SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("x"), "DEVICE_LOST"); });
  EXPECT_EQ(Generate(R"(prompt: "a")").reason, "DEVICE_LOST");
  // The loop reports it a moment after the jobs have ended.
  ASSERT_TRUE(Await([this] {
    server_->Housekeep();
    return server_->device_lost();
  }));
  EXPECT_EQ(Health(server_->ports().admin, kHealthLiveness), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Health(server_->ports().grpc, kHealthReadiness), HealthCheckResponse::NOT_SERVING);
}

TEST_F(ServerTest, OfTwoDevicesTheOtherGoesOn) {
  FakeDevice broken;
  Bind();
  LoadedEngine engine;
  engine.models = {Share(TextModel())};
  engine.devices.push_back({.name = "cuda:0", .executor = MakeFakeExecutor(broken)});
  engine.devices.push_back({.name = "cuda:1", .executor = MakeFakeExecutor(device_)});
  ASSERT_TRUE(server_->Serve(std::move(engine), &LoadFakeTokenizer).ok());
  EXPECT_TRUE(Generate(R"(prompt: "a" image_count: 4 steps: 2)").status.ok());
  EXPECT_GT(broken.plans(), 0);
  EXPECT_GT(device_.plans(), 0);
  ASSERT_TRUE(AwaitIdle());

  broken.SetFault([](const Job&, Phase) { return WithReason(absl::UnavailableError("x"), "DEVICE_LOST"); });
  const StreamResult half = Generate(R"(prompt: "b" image_count: 4 steps: 2)");
  EXPECT_EQ(half.reason, "DEVICE_LOST");
  // Every other one; which device came first depends on what it was done with first.
  EXPECT_THAT(MetadataIn(half.status, "failed_images"), testing::AnyOf("0,2", "1,3"));
  EXPECT_EQ(half.Of(v1::GenerateResponse::kImageChunk).size(), 2u);
  ASSERT_TRUE(Await([this] {
    server_->Housekeep();
    return Series(R"(stepcast_device_up{device="cuda:0"})") == 0;
  }));
  EXPECT_EQ(Series(R"(stepcast_device_up{device="cuda:1"})"), 1);
  EXPECT_FALSE(server_->device_lost());
  for (const std::string_view name : {kHealthLiveness, kHealthReadiness}) {
    EXPECT_EQ(Health(server_->ports().admin, name), HealthCheckResponse::SERVING) << name;
  }
  EXPECT_TRUE(Generate(R"(prompt: "c" image_count: 4 steps: 2)").status.ok());

  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(NewStub()->GetServerInfo(&context, {}, &info).ok());
  ASSERT_EQ(info.devices_size(), 2);
  EXPECT_EQ(info.devices(0).state(), v1::DEVICE_STATE_LOST);
  EXPECT_EQ(info.devices(1).state(), v1::DEVICE_STATE_SERVING);
  server_.reset();  // before `broken`
}

// Server::Shutdown refuses calls at once, so it must come last: admitted calls finish before.
TEST_F(ServerTest, ADrainFinishesWhatWasAdmitted) {
  Start();
  device_.Hold();
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.set_prompt("a");
  const auto stub = NewStub();
  const auto reader = stub->Generate(&context, request);
  ASSERT_TRUE(device_.AwaitHeld());

  stepcast::Drain drain({.linger = absl::ZeroDuration(), .timeout = absl::Seconds(60)}, *server_, clock_);
  drain.Signal();
  drain.Advance();
  EXPECT_EQ(drain.stage(), DrainStage::kFinishing);
  EXPECT_EQ(Generate(R"(prompt: "late")").reason, "DRAINING");
  device_.Release();
  const StreamResult result = Drain(*reader, context);
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_NE(result.Pictures(1)[0], "");
  ASSERT_TRUE(Await([this] { return server_->Idle(); }));
  drain.Advance();
  EXPECT_EQ(drain.stage(), DrainStage::kDone);
  server_->StopServing();
}

TEST_F(ServerTest, ADrainThatRunsOutOfTimeTellsEveryCall) {
  Start();
  device_.Hold();
  std::vector<StreamResult> results(3);
  std::vector<std::thread> clients;
  for (StreamResult& result : results) {
    clients.emplace_back([this, &result] { result = Generate(R"(prompt: "a" steps: 50)"); });
  }
  ASSERT_TRUE(Await([this] { return server_->live_calls() == 3; }));
  ASSERT_TRUE(device_.AwaitHeld());
  stepcast::Drain drain({.linger = absl::ZeroDuration(), .timeout = absl::Seconds(60)}, *server_, clock_);
  drain.Signal();
  drain.Advance();
  clock_.Advance(absl::Seconds(60));
  drain.Advance();
  EXPECT_GE(drain.stage(), DrainStage::kCancelling) << "done already, if the calls were quick to leave";
  // The engine still stands at the gate: calls do not wait for it.
  for (std::thread& client : clients) client.join();
  for (const StreamResult& result : results) {
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(result.reason, "DRAINING");
  }
  ASSERT_TRUE(Await([this] { return server_->Idle(); }));
  drain.Advance();
  EXPECT_EQ(drain.stage(), DrainStage::kDone);
  server_->StopServing();
  EXPECT_FALSE(server_->engine_idle()) << "main leaves such an engine behind";
}

TEST_F(ServerTest, TheDestructorEndsLiveStreams) {
  Start();
  device_.Hold();
  StreamResult result;
  std::thread client([&] { result = Generate(R"(prompt: "a" steps: 50)"); });
  ASSERT_TRUE(device_.AwaitHeld());
  std::thread release([this] { device_.Release(); });
  server_.reset();
  client.join();
  release.join();
  EXPECT_FALSE(result.messages.empty() && result.status.ok());
}

TEST_F(ServerTest, TheMetricsPageSatisfiesPromtoolAndHoldsTheNames) {
  ServerConfig config = TestConfig();
  config.listen.metrics_port = 0;
  Start(std::move(config));
  EXPECT_TRUE(Generate(R"(prompt: "a" steps: 2)").status.ok());
  ASSERT_TRUE(AwaitIdle());
  const std::string answer = Scrape();
  ASSERT_THAT(answer, HasSubstr("200 OK"));
  const std::string page = answer.substr(answer.find("\r\n\r\n") + 4);

  // Every line is a comment or `name{labels} value`; every name has a type.
  std::set<std::string> names;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# TYPE ", 0) == 0) names.insert(line.substr(7, line.find(' ', 7) - 7));
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    ASSERT_NE(space, std::string::npos) << line;
    EXPECT_NO_THROW((void)std::stod(line.substr(space + 1))) << line;
  }
  EXPECT_THAT(names,
              IsSupersetOf({"stepcast_requests_total", "stepcast_rejected_total", "stepcast_requests_waiting",
                            "stepcast_requests_running", "stepcast_request_duration_seconds",
                            "stepcast_queue_wait_seconds", "stepcast_tick_duration_seconds", "stepcast_batch_rows",
                            "stepcast_images_total", "stepcast_steps_total", "stepcast_previews_total",
                            "stepcast_embedding_cache_lookups_total", "stepcast_build_info", "stepcast_model_info",
                            "process_resident_memory_bytes", "stepcast_engine_last_progress_timestamp_seconds"}));
  EXPECT_EQ(Series(R"(stepcast_requests_total{code="OK",method="Generate",model="texty"})"), 1);
  EXPECT_EQ(Series(R"(stepcast_images_total{finish_reason="succeeded",model="texty"})"), 1);
  EXPECT_EQ(Series(R"(stepcast_steps_total{kind="useful",model="texty"})"), 2);
  EXPECT_EQ(Series("stepcast_queue_wait_seconds_count"), 1);
}

}  // namespace
}  // namespace stepcast

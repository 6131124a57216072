// Models that come and go while the server serves, over real gRPC: by requests, and by hand on the admin port.

#include "server/operators/model_service.h"

#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"
#include "tests/support/await.h"

namespace stepcast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelServiceTest : public ServiceFixture {
 protected:
  // "digits" is not in memory.
  void StartWithout(ServerConfig config = TestConfig()) {
    host_ = std::make_shared<HostScript>();
    unloaded_ = {"digits"};
    Start(std::move(config));
  }
  std::unique_ptr<v1::ModelService::Stub> AdminStub() const {
    return v1::ModelService::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->ports().admin), grpc::InsecureChannelCredentials()));
  }
  grpc::Status Load(const std::string& model, v1::LoadModelResponse& response) const {
    grpc::ClientContext context;
    v1::LoadModelRequest request;
    request.set_model(model);
    return AdminStub()->LoadModel(&context, request, &response);
  }
  grpc::Status Unload(const v1::UnloadModelRequest& request, v1::UnloadModelResponse& response) const {
    grpc::ClientContext context;
    return AdminStub()->UnloadModel(&context, request, &response);
  }
  v1::Model Get(const std::string& model) const {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    v1::GetModelResponse response;
    request.set_model(model);
    EXPECT_TRUE(NewStub()->GetModel(&context, request, &response).ok());
    return response.model();
  }
  // A call for "digits" that waits for it.
  std::future<StreamResult> Held(grpc::ClientContext& context) {
    host_->Hold();
    auto call = std::async(std::launch::async,
                           [this, &context] { return Generate(R"(model: "digits" class_index: 1)", context); });
    EXPECT_TRUE(host_->AwaitLog(1));
    return call;
  }
};

TEST_F(ModelServiceTest, ARequestLoadsItsModelAndIsPainted) {
  StartWithout();
  EXPECT_EQ(Get("digits").state(), v1::MODEL_STATE_UNLOADED);
  EXPECT_EQ(Get("texty").state(), v1::MODEL_STATE_READY);
  grpc::ClientContext context;
  auto call = Held(context);
  EXPECT_EQ(Get("digits").state(), v1::MODEL_STATE_LOADING);
  EXPECT_TRUE(Generate(R"(prompt: "a")").status.ok()) << "others paint meanwhile";
  host_->Release();
  const StreamResult result = call.get();
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_FALSE(result.Pictures(1)[0].empty());
  EXPECT_EQ(Get("digits").state(), v1::MODEL_STATE_READY);
}

TEST_F(ModelServiceTest, WhatIsWrongWithARequestIsToldBeforeAnythingIsLoaded) {
  StartWithout();
  EXPECT_EQ(Generate(R"(model: "digits" class_index: 99)").reason, "FIELD_INVALID");
  const StreamResult asked = Generate(R"(model: "digits" class_index: 1 validate_only: true)");
  EXPECT_TRUE(asked.status.ok());
  ASSERT_FALSE(asked.messages.empty());
  EXPECT_THAT(asked.messages[0].accepted().warnings(), Contains(HasSubstr("not in memory")));
  EXPECT_THAT(host_->log(), IsEmpty());
}

TEST_F(ModelServiceTest, ACallThatWaitsCanBeCancelled) {
  StartWithout();
  grpc::ClientContext context;
  auto call = Held(context);
  context.TryCancel();
  EXPECT_EQ(call.get().status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Await([&] { return server_->live_calls() == 0; }));
  host_->Release();
  EXPECT_TRUE(AwaitIdle()) << "the load goes on";
}

TEST_F(ModelServiceTest, ADeadlineOfTheOperatorEndsTheWaiting) {
  ServerConfig config = TestConfig();
  config.default_deadline = absl::Seconds(20);
  StartWithout(std::move(config));
  grpc::ClientContext context;
  auto call = Held(context);
  clock_.Advance(absl::Seconds(21));
  server_->Housekeep();
  EXPECT_EQ(call.get().reason, "DEADLINE");
}

TEST_F(ModelServiceTest, ADrainEndsTheWaiting) {
  StartWithout();
  grpc::ClientContext context;
  auto call = Held(context);
  server_->RefuseNew();
  server_->FinishAdmitted(clock_.Now() + absl::Seconds(60));
  EXPECT_EQ(call.get().reason, "DRAINING");
  EXPECT_FALSE(server_->engine_idle()) << "the load itself goes on";
  host_->Release();
  EXPECT_TRUE(Await([&] { return server_->engine_idle(); }));
}

TEST_F(ModelServiceTest, NoMoreThanSoManyWait) {
  ServerConfig config = TestConfig();
  config.max_waiting_for_models = 1;
  StartWithout(std::move(config));
  grpc::ClientContext context;
  auto call = Held(context);
  const StreamResult refused = Generate(R"(model: "digits" class_index: 1)");
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.reason, "MODEL_LOADING");
  EXPECT_EQ(refused.pushback, "5000");
  host_->Release();
  EXPECT_TRUE(call.get().status.ok());
}

TEST_F(ModelServiceTest, AFailureIsToldToWhoWaitsAndByGetModel) {
  StartWithout();
  host_->Fail("digits", absl::FailedPreconditionError("model 'digits' in '/secret': broken"));
  const StreamResult result = Generate(R"(model: "digits" class_index: 1)");
  EXPECT_EQ(result.reason, "MODEL_FAILED");
  EXPECT_EQ(result.pushback, "30000");
  EXPECT_EQ(MetadataIn(result.status, "model"), "digits");
  EXPECT_EQ(Get("digits").state(), v1::MODEL_STATE_FAILED);
  v1::LoadModelResponse response;
  const grpc::Status by_hand = Load("digits", response);
  EXPECT_EQ(ReasonIn(by_hand), "MODEL_FAILED");
  EXPECT_THAT(by_hand.error_message(), HasSubstr("/secret")) << "operators may know";
}

TEST_F(ModelServiceTest, LoadsAndUnloadsByHand) {
  StartWithout();
  v1::LoadModelResponse loaded;
  ASSERT_TRUE(Load("digits", loaded).ok());
  EXPECT_EQ(loaded.model().id(), "digits");
  EXPECT_EQ(loaded.model().state(), v1::MODEL_STATE_READY);
  ASSERT_TRUE(Load("digits", loaded).ok()) << "once more changes nothing";
  v1::UnloadModelRequest request;
  request.set_model("digits");
  v1::UnloadModelResponse unloaded;
  ASSERT_TRUE(Unload(request, unloaded).ok());
  EXPECT_EQ(unloaded.model().state(), v1::MODEL_STATE_OFF);
  ASSERT_TRUE(Unload(request, unloaded).ok());
  EXPECT_EQ(Generate(R"(model: "digits" class_index: 1)").reason, "MODEL_NOT_FOUND");
  request.set_reload_on_request(true);
  ASSERT_TRUE(Unload(request, unloaded).ok());
  EXPECT_EQ(unloaded.model().state(), v1::MODEL_STATE_UNLOADED);
  EXPECT_TRUE(Generate(R"(model: "digits" class_index: 1)").status.ok());
  EXPECT_THAT(host_->log(), ElementsAre("load digits", "unload digits", "load digits"));
}

TEST_F(ModelServiceTest, UnloadingFinishesWhatWasAdmitted) {
  StartWithout();
  device_.Hold();
  const auto stub = NewStub();
  grpc::ClientContext context;
  v1::GenerateRequest painting;
  painting.set_prompt("a");
  const auto reader = stub->Generate(&context, painting);
  v1::GenerateResponse first;
  ASSERT_TRUE(reader->Read(&first));
  v1::UnloadModelRequest request;
  request.set_model("texty");
  v1::UnloadModelResponse response;
  auto call = std::async(std::launch::async, [&] { return Unload(request, response); });
  ASSERT_TRUE(Await([&] { return Get("texty").state() == v1::MODEL_STATE_UNLOADING; }));
  EXPECT_EQ(Generate(R"(prompt: "b")").reason, "MODEL_NOT_FOUND");
  EXPECT_THAT(host_->log(), IsEmpty());
  device_.Release();
  EXPECT_TRUE(Drain(*reader, context).status.ok());
  EXPECT_TRUE(call.get().ok());
  EXPECT_THAT(host_->log(), ElementsAre("unload texty"));
}

TEST_F(ModelServiceTest, UnknownModelsAndTimesAreRefused) {
  StartWithout();
  v1::LoadModelResponse loaded;
  EXPECT_EQ(ReasonIn(Load("ghost", loaded)), "MODEL_NOT_FOUND");
  v1::UnloadModelRequest request;
  request.mutable_timeout()->set_seconds(-1);
  v1::UnloadModelResponse unloaded;
  const grpc::Status refused = Unload(request, unloaded);
  EXPECT_EQ(ReasonIn(refused), "FIELD_INVALID");
  EXPECT_THAT(ViolationsIn(refused), ElementsAre("timeout"));
}

TEST_F(ModelServiceTest, IsNotOnThePublicPortAndWaitsForTheModels) {
  Bind();
  v1::LoadModelResponse response;
  EXPECT_EQ(ReasonIn(Load("texty", response)), "MODEL_LOADING");
  ServeModels();
  const auto stub = v1::ModelService::NewStub(NewChannel());
  grpc::ClientContext context;
  EXPECT_EQ(stub->LoadModel(&context, {}, &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace stepcast

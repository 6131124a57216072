// The unary methods, and everything that ends a call before it is admitted.

#include "server/call/image_service.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageServiceTest : public ServiceFixture {};

TEST_F(ImageServiceTest, RefusalsAreTrailersOnly) {
  struct Row {
    std::string request;
    grpc::StatusCode code;
    std::string reason;
    std::vector<std::string> fields;
  };
  const Row rows[] = {
      {"", grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", {"prompt"}},
      {R"(prompt: "a" steps: 0 width: 65)", grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", {"width", "steps"}},
      {R"(prompt: "a" guidance_scale: nan)", grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", {"guidance_scale"}},
      {R"(prompt: "a" model: "absent")", grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", {}},
      {R"(prompt: "a" image_count: 5)", grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", {"image_count"}},
      {R"(model: "digits" prompt: "a")", grpc::StatusCode::INVALID_ARGUMENT, "FIELD_INVALID", {"prompt"}},
      {R"(prompt: "a" preview { every_n_steps: 0 })",
       grpc::StatusCode::INVALID_ARGUMENT,
       "FIELD_INVALID",
       {"preview.every_n_steps"}},
  };
  Start();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.request);
    const StreamResult result = Generate(row.request);
    EXPECT_EQ(result.status.error_code(), row.code) << result.status.error_message();
    EXPECT_EQ(result.reason, row.reason);
    EXPECT_THAT(ViolationsIn(result.status), testing::UnorderedElementsAreArray(row.fields));
    EXPECT_TRUE(result.messages.empty()) << "a refusal must come before any message";
  }
  EXPECT_EQ(device_.plans(), 0);
}

TEST_F(ImageServiceTest, ARefusalIsReallyTrailersOnly) {
  // Headers commit a call: a client that has seen them does not retry. Here the server must send none.
  Start();
  grpc::ClientContext context;
  const auto stub = NewStub();
  const auto reader = stub->Generate(&context, v1::GenerateRequest());
  reader->WaitForInitialMetadata();
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// gRPC 1.51 answers a message that it cannot parse with UNIMPLEMENTED and no words; raw methods are ours to answer.
TEST_F(ImageServiceTest, MalformedBytesAreNamed) {
  const std::string truncated(
      "\x12\x7f"
      "abc");
  const std::string bad_utf8(
      "\x12\x03"
      "a\xff"
      "b");
  Start();
  for (const std::string method : {"Generate", "GenerateImage", "ListModels", "GetModel", "GetServerInfo"}) {
    SCOPED_TRACE(method);
    const grpc::Status status = SendRaw(method, truncated);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(ReasonIn(status), "MALFORMED_REQUEST");
    EXPECT_FALSE(status.error_message().empty());
  }
  const grpc::Status utf8 = SendRaw("Generate", bad_utf8);
  EXPECT_EQ(utf8.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonIn(utf8), "FIELD_INVALID");
  EXPECT_THAT(ViolationsIn(utf8), ElementsAre("prompt"));
}

TEST_F(ImageServiceTest, MessagesAboveOurLimitReachTheValidator) {
  Start();
  const StreamResult prompt = Generate("prompt: \"" + std::string(1 << 20, 'a') + "\"");
  EXPECT_EQ(prompt.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(ViolationsIn(prompt.status), ElementsAre("prompt"));
  const StreamResult request = Generate("prompt: \"" + std::string(25 << 20, 'a') + "\"");
  EXPECT_EQ(request.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(request.reason, "WORK_LIMIT");
  EXPECT_EQ(MetadataIn(request.status, "max_request_bytes"), "25165824");
  EXPECT_THAT(request.status.error_message(), HasSubstr("see ServerLimits.max_request_bytes of GetServerInfo"));
}

TEST_F(ImageServiceTest, ModelsStillLoading) {
  Bind();
  const StreamResult result = Generate(R"(prompt: "a")");
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.reason, "MODEL_LOADING");
  EXPECT_NE(result.pushback, "");
  const auto stub = NewStub();
  v1::GetServerInfoResponse info;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.state(), v1::SERVING_STATE_LOADING);
  ServeModels();
  EXPECT_TRUE(Generate(R"(prompt: "a")").status.ok());
}

TEST_F(ImageServiceTest, AFullQueueSaysWhenToComeBack) {
  ServerConfig config = TestConfig();
  config.scheduler.admission.max_queued_jobs = 1;
  config.limits.max_image_count = 4;
  Start(std::move(config));
  const StreamResult result = Generate(R"(prompt: "a" image_count: 2)");
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(result.reason, "QUEUE_FULL");
  EXPECT_EQ(result.pushback, "1000");
  EXPECT_TRUE(result.messages.empty());
}

TEST_F(ImageServiceTest, ListModelsPages) {
  Start();
  const auto stub = NewStub();
  std::vector<std::string> ids;
  v1::ListModelsRequest request;
  request.set_page_size(1);
  do {
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    ASSERT_TRUE(stub->ListModels(&context, request, &response).ok());
    ASSERT_EQ(response.models_size(), 1);
    ids.push_back(response.models(0).id());
    EXPECT_EQ(response.models(0).is_default(), ids.size() == 1);
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(ids, ElementsAre("texty", "digits"));

  for (const std::string token : {"0", "2", "-1", "x", "99999999999999"}) {
    SCOPED_TRACE(token);
    request.set_page_token(token);
    request.set_page_size(-1);
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    const grpc::Status status = stub->ListModels(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(ViolationsIn(status), ElementsAre("page_size", "page_token"));
  }
}

TEST_F(ImageServiceTest, GetModelDescribesTheDefaultAndTheNamed) {
  Start();
  const auto stub = NewStub();
  for (const auto& [asked, told] : {std::pair<std::string, std::string>{"", "texty"}, {"digits", "digits"}}) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_model(asked);
    v1::GetModelResponse response;
    ASSERT_TRUE(stub->GetModel(&context, request, &response).ok());
    EXPECT_EQ(response.model().id(), told);
    EXPECT_EQ(response.model().sha256().size(), 64u);
  }
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_model("absent");
  v1::GetModelResponse response;
  const grpc::Status status = stub->GetModel(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(status), "MODEL_NOT_FOUND");
  EXPECT_THAT(MetadataIn(status, "available"), HasSubstr("texty"));
}

TEST_F(ImageServiceTest, GetServerInfoTellsTheStateOfTheQueue) {
  Start();
  device_.Hold();
  grpc::ClientContext painting;
  const auto stub = NewStub();
  v1::GenerateRequest request;
  request.set_prompt("a");
  request.set_image_count(2);
  const auto reader = stub->Generate(&painting, request);
  ASSERT_TRUE(device_.AwaitHeld());

  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.state(), v1::SERVING_STATE_SERVING);
  EXPECT_EQ(info.default_model(), "texty");
  EXPECT_EQ(info.queue().waiting() + info.queue().running(), 2);
  ASSERT_EQ(info.devices_size(), 1);
  EXPECT_EQ(info.devices(0).name(), "cpu");
  EXPECT_EQ(info.devices(0).max_rows(), 16);
  EXPECT_EQ(info.devices(0).state(), v1::DEVICE_STATE_SERVING);
  EXPECT_EQ(info.devices(0).queue().waiting() + info.devices(0).queue().running(), 2);
  EXPECT_EQ(info.strict_rows(), 0);
  EXPECT_EQ(info.limits().max_image_count(), 4);
  EXPECT_EQ(info.policy(), "slo");

  device_.Release();
  EXPECT_TRUE(Drain(*reader, painting).status.ok());
}

TEST_F(ImageServiceTest, GetServerInfoTellsTheStrictMode) {
  FakeDevice strict({.limits = {.strict_rows = 8}});
  Start(TestConfig(), MakeFakeExecutor(strict));
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(NewStub()->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.strict_rows(), 8);
  EXPECT_FALSE(info.one_picture_per_forward());
  server_.reset();  // before its device
}

TEST_F(ImageServiceTest, GetServerInfoTellsOfOnePicturePerForward) {
  FakeDevice strict({.limits = {.strict_rows = 2, .max_resident_jobs = 1}});
  Start(TestConfig(), MakeFakeExecutor(strict));
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(NewStub()->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.strict_rows(), 2);
  EXPECT_TRUE(info.one_picture_per_forward());
  server_.reset();  // before its device
}

TEST_F(ImageServiceTest, RequestIdsAreEchoedOrMade) {
  struct Row {
    std::string sent;
    bool echoed;
  };
  const Row rows[] = {{"abc-123", true}, {std::string(128, 'x'), true}, {std::string(129, 'x'), false}, {"a b", false}};
  Start();
  for (const Row& row : rows) {
    grpc::ClientContext context;
    context.AddMetadata("x-request-id", row.sent);
    const StreamResult result = Generate("", context);
    if (row.echoed) {
      EXPECT_EQ(result.request_id, row.sent);
    } else {
      EXPECT_EQ(result.request_id.size(), 16u) << row.sent;
    }
  }
  EXPECT_EQ(Generate("").request_id.size(), 16u);
}

TEST_F(ImageServiceTest, TenantsComeFromTheirMetadata) {
  const struct {
    std::string sent;
    std::string told;  // the violation's text; "" when accepted
  } rows[] = {{"acme", ""}, {"default", ""}, {"a b", "x-stepcast-tenant"}, {std::string(65, 'x'), "x-stepcast-tenant"}};
  Start();
  for (const auto& row : rows) {
    grpc::ClientContext context;
    context.AddMetadata("x-stepcast-tenant", row.sent);
    const StreamResult result = Generate(R"(prompt: "a" steps: 1)", context);
    EXPECT_EQ(result.status.ok(), row.told.empty()) << result.status.error_message();
    if (!row.told.empty()) {
      EXPECT_THAT(ViolationsIn(result.status), ElementsAre(row.told)) << row.sent;
      EXPECT_EQ(result.reason, "FIELD_INVALID");
    }
  }
}

TEST_F(ImageServiceTest, TwoNamesOfTheSameCallAreRefusedOrReplaced) {
  Start();
  grpc::ClientContext context;
  for (const char* tenant : {"acme", "globex"}) context.AddMetadata("x-stepcast-tenant", tenant);
  for (const char* id : {"one", "two"}) context.AddMetadata("x-request-id", id);
  const StreamResult result = Generate(R"(prompt: "a" steps: 1)", context);
  EXPECT_EQ(result.reason, "FIELD_INVALID");
  EXPECT_THAT(ViolationsIn(result.status), ElementsAre("x-stepcast-tenant"));
  EXPECT_EQ(result.request_id.size(), 16u);
  grpc::ClientContext repeated;
  for (int i = 0; i < 2; ++i) repeated.AddMetadata("x-stepcast-tenant", "acme");
  for (int i = 0; i < 2; ++i) repeated.AddMetadata("x-request-id", "one");
  const StreamResult accepted = Generate(R"(prompt: "a" steps: 1)", repeated);
  EXPECT_TRUE(accepted.status.ok());
  EXPECT_EQ(accepted.request_id, "one");
}

TEST_F(ImageServiceTest, ATenantsLimitIsItsOwn) {
  ServerConfig config = TestConfig();
  config.tenants.named["acme"] = {.max_queued = 1};
  Start(std::move(config));
  const std::string two = R"(prompt: "a" steps: 1 image_count: 2)";
  grpc::ClientContext acme;
  acme.AddMetadata("x-stepcast-tenant", "acme");
  const StreamResult refused = Generate(two, acme);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.reason, "TENANT_LIMIT");
  EXPECT_EQ(MetadataIn(refused.status, "tenant"), "acme");
  EXPECT_NE(refused.pushback, "");
  EXPECT_TRUE(refused.messages.empty());
  EXPECT_TRUE(Generate(two).status.ok()) << "the others have no such limit";
  EXPECT_EQ(Series(R"(stepcast_rejected_total{reason="TENANT_LIMIT"})"), 1);
}

TEST_F(ImageServiceTest, WithoutAKeyEverybodyIsTheDefault) {
  ServerConfig config = TestConfig();
  config.tenants.metadata_key = "";
  Start(std::move(config));
  grpc::ClientContext context;
  context.AddMetadata("x-stepcast-tenant", "a b");
  EXPECT_TRUE(Generate(R"(prompt: "a" steps: 1)", context).status.ok());
}

TEST_F(ImageServiceTest, DrainingRefusesNewWorkOnly) {
  Start();
  server_->RefuseNew();
  const StreamResult result = Generate(R"(prompt: "a")");
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(result.reason, "DRAINING");
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(NewStub()->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.state(), v1::SERVING_STATE_DRAINING);
}

}  // namespace
}  // namespace stepcast

// Tokens, tenants and their limits, through whole calls.

#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stepcast/v1/model_service.grpc.pb.h"
#include "stepcast/v1/scheduler.grpc.pb.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

class IdentityCallsTest : public ServiceFixture {
 protected:
  // acme may use digits alone, globex everything.
  static ServerConfig Config() {
    ServerConfig config = TestConfig();
    config.auth.token_file =
        Write("identity_public.yaml", absl::StrCat(Entry("acme-token", "acme"), Entry("globex-token", "globex"),
                                                   Entry("reader", "globex", ", roles: [read]")));
    config.admin.token_file = Write("identity_admin.yaml", Entry("ops-token", "ops"));
    config.tenants.named["acme"].models = {{"digits", "retired"}};
    return config;
  }
  static std::string Entry(const std::string& token, const std::string& tenant, const std::string& more = "") {
    return absl::StrCat("- {sha256: ", Sha256Hex(token), ", tenant: ", tenant, more, "}\n");
  }
  static std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(testing::TempDir(), name);
    std::ofstream(path) << text;
    return path;
  }

  static void Bear(grpc::ClientContext& context, const std::string& token) {
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  }
  StreamResult Paint(const std::string& token, const std::string& request,
                     const std::vector<std::pair<std::string, std::string>>& more = {}) const {
    grpc::ClientContext context;
    Bear(context, token);
    for (const auto& [key, value] : more) context.AddMetadata(key, value);
    return Generate(request, context);
  }
  std::vector<std::string> Models(const std::string& token) const {
    grpc::ClientContext context;
    Bear(context, token);
    v1::ListModelsResponse response;
    const grpc::Status status = NewStub()->ListModels(&context, {}, &response);
    std::vector<std::string> ids = {};
    if (!status.ok()) ids.push_back(ReasonIn(status));
    for (const v1::Model& model : response.models()) ids.push_back(model.id());
    return ids;
  }
  // An empty message to any method of either port.
  grpc::Status Call(int port, const std::string& path, const std::string& token) const {
    grpc::ClientContext context;
    Bear(context, token);
    return CallRaw(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()),
                   context, path, "");
  }
};

TEST_F(IdentityCallsTest, NoMethodOfEitherPortIsOpen) {
  Start(Config());
  const std::pair<const google::protobuf::FileDescriptor*, int> ports[] = {
      {v1::GenerateRequest::descriptor()->file(), server_->ports().grpc},
      {v1::WatchTicksRequest::descriptor()->file(), server_->ports().admin},
      {v1::LoadModelRequest::descriptor()->file(), server_->ports().admin}};
  for (const auto& [file, port] : ports) {
    const google::protobuf::ServiceDescriptor& service = *file->service(0);
    for (int i = 0; i < service.method_count(); ++i) {
      const std::string path = absl::StrCat("/", service.full_name(), "/", service.method(i)->name());
      const grpc::Status missing = Call(port, path, "");
      if (missing.error_code() == grpc::StatusCode::UNIMPLEMENTED) continue;  // nobody serves it
      EXPECT_EQ(ReasonIn(missing), "TOKEN_MISSING") << path;
      EXPECT_EQ(missing.error_code(), grpc::StatusCode::UNAUTHENTICATED) << path;
      EXPECT_EQ(ReasonIn(Call(port, path, "stranger")), "TOKEN_INVALID") << path;
      const bool is_public = port == server_->ports().grpc;
      EXPECT_EQ(ReasonIn(Call(port, path, is_public ? "ops-token" : "acme-token")), "TOKEN_INVALID")
          << path << ": a token of the other port";
    }
  }
  EXPECT_EQ(Series("stepcast_rejected_total{reason=\"TOKEN_MISSING\"}"),
            Series("stepcast_requests_total{code=\"UNAUTHENTICATED\"") -
                Series("stepcast_rejected_total{reason=\"TOKEN_INVALID\"}"));
}

TEST_F(IdentityCallsTest, HealthAndReflectionAskForNoToken) {
  Start(Config());
  for (const int port : {server_->ports().grpc, server_->ports().admin}) {
    EXPECT_TRUE(Call(port, "/grpc.health.v1.Health/Check", "").ok());
  }
}

TEST_F(IdentityCallsTest, ATokenPaintsForItsTenant) {
  Start(Config());
  const StreamResult painted = Paint("globex-token", "prompt: 'a' steps: 2 seed: 1");
  EXPECT_TRUE(painted.status.ok()) << painted.status.error_message();
  EXPECT_EQ(Paint("reader", "prompt: 'a' steps: 2 seed: 1").reason, "METHOD_FORBIDDEN");
  EXPECT_EQ(Paint("globex-token", "prompt: 'a'", {{"x-stepcast-tenant", "acme"}}).reason, "FIELD_INVALID");
}

TEST_F(IdentityCallsTest, AModelThatIsNotTheTenantsDoesNotExist) {
  Start(Config());
  EXPECT_THAT(Models("globex-token"), ElementsAre("texty", "digits"));
  EXPECT_THAT(Models("acme-token"), ElementsAre("digits"));
  // One that is somebody else's, one that is nobody's, one that is the tenant's and not there, one that cannot be.
  std::set<std::string> messages;
  for (const char* const model : {"texty", "nothing", "retired", "../x"}) {
    const StreamResult refused = Paint("acme-token", absl::StrCat("prompt: 'a' model: '", model, "'"));
    EXPECT_EQ(refused.reason, "MODEL_FORBIDDEN") << model;
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(MetadataIn(refused.status, "available"), "");
    messages.insert(refused.status.error_message());
  }
  EXPECT_EQ(messages.size(), 1u) << "the words tell them apart";
  EXPECT_EQ(Paint("globex-token", "prompt: 'a' model: 'nothing'").reason, "MODEL_NOT_FOUND");

  grpc::ClientContext context;
  Bear(context, "acme-token");
  v1::GetModelRequest request;
  request.set_model("texty");
  v1::GetModelResponse response;
  EXPECT_EQ(ReasonIn(NewStub()->GetModel(&context, request, &response)), "MODEL_FORBIDDEN");
}

TEST_F(IdentityCallsTest, WhoNamesNoModelGetsTheFirstOfItsOwn) {
  Start(Config());
  const StreamResult painted = Paint("acme-token", "class_index: 1 steps: 2 seed: 1");
  ASSERT_TRUE(painted.status.ok()) << painted.status.error_message();
  EXPECT_EQ(painted.messages.front().accepted().request().model(), "digits");
  grpc::ClientContext context;
  Bear(context, "acme-token");
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(NewStub()->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.default_model(), "digits");
}

TEST_F(IdentityCallsTest, ARequestMayBeAsLargeAsItsTenantsMay) {
  ServerConfig config = Config();
  config.tenants.named["globex"].max_rows = 2;
  Start(config);
  EXPECT_TRUE(Paint("globex-token", "prompt: 'a' steps: 2 guidance_scale: 5 seed: 1").status.ok());
  EXPECT_TRUE(Paint("globex-token", "prompt: 'a' steps: 2 guidance_scale: 1 image_count: 2 seed: 1").status.ok());
  const StreamResult refused = Paint("globex-token", "prompt: 'a' steps: 2 guidance_scale: 5 image_count: 2 seed: 1");
  EXPECT_EQ(refused.reason, "WORK_LIMIT");
  EXPECT_EQ(MetadataIn(refused.status, "rows"), "4");
  EXPECT_EQ(MetadataIn(refused.status, "max_rows"), "2");
}

TEST_F(IdentityCallsTest, TooManyRequestsAreToldWhenToComeBack) {
  ServerConfig config = Config();
  config.tenants.named["globex"].requests_per_second = 0.5;
  config.tenants.named["globex"].request_burst = 1;
  Start(config);
  EXPECT_TRUE(Paint("globex-token", "prompt: 'a' steps: 2 seed: 1").status.ok());
  const StreamResult refused = Paint("globex-token", "prompt: 'a' steps: 2 seed: 1");
  EXPECT_EQ(refused.reason, "TENANT_LIMIT");
  EXPECT_EQ(MetadataIn(refused.status, "tenant"), "globex");
  EXPECT_EQ(refused.pushback, "2000");
  EXPECT_THAT(Models("globex-token"), ElementsAre("texty", "digits")) << "reading costs nothing";
  EXPECT_TRUE(Paint("acme-token", "class_index: 1 steps: 2 seed: 1").status.ok()) << "another tenant";
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Paint("globex-token", "prompt: 'a' steps: 2 seed: 1").status.ok());
}

TEST_F(IdentityCallsTest, WhatRoutersWereToldIsTheRequestsModel) {
  Start();
  const auto routed = [this](const std::string& request, const std::string& model) {
    return Paint("", request, {{"x-stepcast-model", model}}).reason;
  };
  EXPECT_EQ(routed("prompt: 'a' steps: 2 seed: 1 model: 'texty'", "texty"), "");
  EXPECT_EQ(routed("prompt: 'a' steps: 2 seed: 1", "texty"), "") << "the default model";
  EXPECT_EQ(routed("prompt: 'a' steps: 2 seed: 1", "digits"), "FIELD_INVALID");
  EXPECT_EQ(routed("class_index: 1 steps: 2 seed: 1 model: 'digits'", "texty"), "FIELD_INVALID");
}

}  // namespace
}  // namespace stepcast

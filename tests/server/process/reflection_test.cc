#include "server/process/reflection.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "server/process/listener.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {
namespace {

using google::protobuf::FileDescriptorProto;
using grpc::reflection::v1::ServerReflection;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;
using ::testing::ElementsAre;

std::vector<std::string> FileNames(const ServerReflectionResponse& response) {
  std::vector<std::string> names;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(bytes));
    names.push_back(file.name());
  }
  return names;
}

TEST(ReflectionTest, ListsTheServices) {
  ServerReflectionRequest request;
  request.set_host("here");
  request.set_list_services("*");
  const ServerReflectionResponse response = Reflect(request, {"a.A", "b.B"});
  EXPECT_EQ(response.valid_host(), "here");
  EXPECT_EQ(response.original_request().list_services(), "*");
  ASSERT_EQ(response.list_services_response().service_size(), 2);
  EXPECT_EQ(response.list_services_response().service(1).name(), "b.B");
}

TEST(ReflectionTest, AFileComesWithAllThatItImportsOnce) {
  (void)v1::GenerateRequest::descriptor();
  ServerReflectionRequest request;
  request.set_file_by_filename("stepcast/v1/image_generation.proto");
  const std::vector<std::string> names = FileNames(Reflect(request, {}));
  ASSERT_GT(names.size(), 5u);
  EXPECT_EQ(names[0], "stepcast/v1/image_generation.proto");
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  EXPECT_THAT(names, testing::Contains("stepcast/v1/sampling.proto"));
}

TEST(ReflectionTest, SymbolsOfEveryKindAreFound) {
  for (const char* symbol :
       {"stepcast.v1.ImageGenerationService", "stepcast.v1.ImageGenerationService.Generate",
        "stepcast.v1.GenerateRequest", "stepcast.v1.GenerateRequest.prompt", "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}) {
    ServerReflectionRequest request;
    request.set_file_containing_symbol(symbol);
    EXPECT_FALSE(FileNames(Reflect(request, {})).empty()) << symbol;
  }
}

TEST(ReflectionTest, WhatIsNotThereIsAnErrorInTheAnswer) {
  ServerReflectionRequest requests[5];
  requests[0].set_file_by_filename("no.proto");
  requests[1].set_file_containing_symbol("no.Symbol");
  requests[2].set_all_extension_numbers_of_type("no.Type");
  requests[3].mutable_file_containing_extension()->set_containing_type("google.protobuf.FieldOptions");
  requests[3].mutable_file_containing_extension()->set_extension_number(123456);
  requests[4].mutable_file_containing_extension()->set_containing_type("no.Type");
  for (const ServerReflectionRequest& request : requests) {
    EXPECT_EQ(Reflect(request, {}).error_response().error_code(), grpc::StatusCode::NOT_FOUND)
        << request.ShortDebugString();
  }
  EXPECT_EQ(Reflect({}, {}).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(ReflectionTest, ExtensionNumbersOfAType) {
  ServerReflectionRequest request;
  request.set_all_extension_numbers_of_type("stepcast.v1.GenerateRequest");
  const ServerReflectionResponse response = Reflect(request, {});
  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "stepcast.v1.GenerateRequest");
  EXPECT_EQ(response.all_extension_numbers_response().extension_number_size(), 0);
}

class ReflectionServiceTest : public testing::Test {
 protected:
  ReflectionServiceTest() {
    ListenerOptions options;
    options.name = "gRPC";
    options.host = "127.0.0.1";
    options.services = {&service_};
    options.reflection = false;
    listener_ = *Listener::Start(options);
    stub_ = ServerReflection::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(listener_->port()), grpc::InsecureChannelCredentials()));
  }

  ReflectionService service_{{"stepcast.v1.ImageGenerationService"}};
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<ServerReflection::Stub> stub_;
};

TEST_F(ReflectionServiceTest, AnswersEachQuestionInOrder) {
  grpc::ClientContext context;
  const auto stream = stub_->ServerReflectionInfo(&context);
  ServerReflectionRequest list;
  list.set_list_services("");
  ServerReflectionRequest file;
  file.set_file_by_filename("no.proto");
  ASSERT_TRUE(stream->Write(list) && stream->Write(file) && stream->Write(list) && stream->WritesDone());
  ServerReflectionResponse response;
  std::vector<int> kinds;
  while (stream->Read(&response)) kinds.push_back(response.message_response_case());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(kinds,
              ElementsAre(ServerReflectionResponse::kListServicesResponse, ServerReflectionResponse::kErrorResponse,
                          ServerReflectionResponse::kListServicesResponse));
  EXPECT_THAT(service_.services(),
              ElementsAre("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
                          "stepcast.v1.ImageGenerationService"));
}

TEST_F(ReflectionServiceTest, LongQuestionsAreNotEchoed) {
  grpc::ClientContext context;
  const auto stream = stub_->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  request.set_file_by_filename(std::string(100'000, 'x'));
  stream->Write(request);
  ServerReflectionResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ReflectionServiceTest, OpenStreamsDoNotHoldAStop) {
  grpc::ClientContext context;
  const auto stream = stub_->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  request.set_list_services("");
  ServerReflectionResponse response;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  service_.EndStreams();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);

  grpc::ClientContext late;
  const auto ended = stub_->ServerReflectionInfo(&late);
  EXPECT_FALSE(ended->Read(&response));
  EXPECT_EQ(ended->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace stepcast

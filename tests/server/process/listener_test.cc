#include "server/process/listener.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/process/health.h"

namespace stepcast {
namespace {

ListenerOptions Options(grpc::Service* service) {
  ListenerOptions options;
  options.name = "gRPC";
  options.host = "127.0.0.1";
  options.services = {service};
  return options;
}

// Whether the reflection service answers; asked with an empty request, which it answers with an error of its own.
bool Reflects(const Listener& listener) {
  grpc::GenericStub stub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", listener.port()), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                          grpc::ByteBuffer(), &queue);
  grpc::ByteBuffer response;
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status.error_code() != grpc::StatusCode::UNIMPLEMENTED;
}

// By default gRPC shares a port between processes silently, each serving some of the calls.
TEST(ListenerTest, APortInUseIsOneClearLine) {
  HealthState state;
  HealthService one(state);
  HealthService two(state);
  const auto first = Listener::Start(Options(&one));
  ASSERT_TRUE(first.ok()) << first.status();
  ListenerOptions options = Options(&two);
  options.port = (*first)->port();
  const auto second = Listener::Start(options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(second.status().message(), absl::StrCat("gRPC cannot listen on 127.0.0.1:", (*first)->port(),
                                                    ": the port is in use or the address is not this machine's"));
}

TEST(ListenerTest, ReflectionCanBeTurnedOff) {
  HealthState state;
  HealthService one(state);
  HealthService two(state);
  ListenerOptions options = Options(&one);
  const auto with = Listener::Start(options);
  ASSERT_TRUE(with.ok());
  options = Options(&two);
  options.reflection = false;
  const auto without = Listener::Start(options);
  ASSERT_TRUE(without.ok());
  EXPECT_TRUE(Reflects(**with));
  EXPECT_FALSE(Reflects(**without));
}

TEST(ListenerTest, JoinsHostAndPort) {
  struct Row {
    std::string host;
    std::string joined;
  };
  const Row rows[] = {
      {"127.0.0.1", "127.0.0.1:5"}, {"localhost", "localhost:5"}, {"::1", "[::1]:5"}, {"[::1]", "[::1]:5"}};
  for (const Row& row : rows) EXPECT_EQ(JoinHostPort(row.host, 5), row.joined);
}

}  // namespace
}  // namespace stepcast

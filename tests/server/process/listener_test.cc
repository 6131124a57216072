#include "server/process/listener.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/low_priority.h"
#include "server/process/health.h"
#include "tests/server/http2_client.h"
#include "tests/support/await.h"

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

// Notes the niceness of the thread that has received a call.
class NicenessProbe final : public grpc::health::v1::Health::CallbackService {
 public:
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest*,
                                  grpc::health::v1::HealthCheckResponse*) override {
    niceness = getpriority(PRIO_PROCESS, 0);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  std::atomic<int> niceness = 0;
};

// What clients send is copied and parsed on gRPC's threads: they must not take turns with the engine as its equals.
TEST(ListenerTest, ThreadsThatReceiveGiveWay) {
  NicenessProbe probe;
  const auto listener = Listener::Start(Options(&probe));
  ASSERT_TRUE(listener.ok());
  const auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", (*listener)->port()), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse response;
  ASSERT_TRUE(stub->Check(&context, {}, &response).ok());
  const int own = getpriority(PRIO_PROCESS, 0);
  EXPECT_EQ(probe.niceness, std::min(own + kAnswering, 19)) << "and the caller of Start is as it was";
}

// How many of `count` pings, one after the other and without any call, are answered.
int PingsAnswered(const Listener& listener, int count) {
  Http2Client client(listener.port());
  for (int i = 0; i < count; ++i) {
    client.Send({.type = FrameType::kPing, .payload = "stepcast"});
    const auto answer = client.Receive();
    if (!answer.has_value() || answer->type != FrameType::kPing) return i;
  }
  return count;
}

// Clients may ping as often as docs/operations.md says, without a call too; who floods is sent away.
TEST(ListenerTest, ClientsMayPingAtTheirIntervalAndNotFaster) {
  HealthState state;
  HealthService one(state);
  HealthService two(state);
  EXPECT_LE(ListenerOptions().min_ping_interval, absl::Seconds(9)) << "10 s are promised, and networks bunch pings";
  ListenerOptions options = Options(&one);
  options.min_ping_interval = absl::ZeroDuration();
  const auto patient = Listener::Start(options);
  options = Options(&two);
  options.min_ping_interval = absl::Hours(1);
  const auto strict = Listener::Start(options);
  ASSERT_TRUE(patient.ok() && strict.ok());
  EXPECT_EQ(PingsAnswered(**patient, 100), 100);
  EXPECT_LT(PingsAnswered(**strict, 100), 10);
  EXPECT_EQ(PingsAnswered(**strict, 1), 1) << "another connection is another client";
}

// Calls that last until their client is gone.
class EndlessWatch final : public grpc::health::v1::Health::CallbackService {
 public:
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext*, const grpc::health::v1::HealthCheckRequest*) override {
    class Reactor final : public grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse> {
     public:
      explicit Reactor(Notification& gone) : gone_(gone) {}
      void OnCancel() override { Finish(grpc::Status::CANCELLED); }
      void OnDone() override {
        gone_.Notify();
        delete this;
      }

     private:
      Notification& gone_;
    };
    begun.Notify();
    return new Reactor(gone);
  }

  Notification begun;
  Notification gone;
};

// A connection whose other end has gone without a word: nothing is ever answered, not even a ping.
TEST(ListenerTest, AHalfOpenConnectionIsGivenUp) {
  EndlessWatch service;
  ListenerOptions options = Options(&service);
  EXPECT_LE(options.ping_after + options.ping_patience, absl::Minutes(1))
      << "so long its pictures are painted for nobody";
  options.ping_after = absl::Milliseconds(100);
  options.ping_patience = absl::Milliseconds(100);
  const auto listener = Listener::Start(options);
  ASSERT_TRUE(listener.ok());
  Http2Client client((*listener)->port());
  ASSERT_TRUE(client.StartCall(1, "/grpc.health.v1.Health/Watch"));
  ASSERT_TRUE(client.SendMessage(1, false, ""));
  ASSERT_TRUE(service.begun.Await());
  EXPECT_TRUE(service.gone.Await());
}

// Whether another client is answered.
bool IsHealthy(const Listener& listener) {
  Http2Client client(listener.port());
  client.StartCall(1, "/grpc.health.v1.Health/Check");
  client.SendMessage(1, /*compressed=*/false, "");
  return client.ReceiveUntilEnd(1).find("grpc-status") != std::string::npos;
}

TEST(ListenerTest, HugeMetadataIsRefused) {
  HealthState state;
  HealthService health(state);
  const auto listener = Listener::Start(Options(&health));
  ASSERT_TRUE(listener.ok());
  Http2Client client((*listener)->port());
  // The limit is in force once the client has acknowledged it.
  client.Send({.type = FrameType::kPing, .payload = "stepcast"});
  ASSERT_TRUE(client.Receive().has_value());
  client.StartCall(1, "/grpc.health.v1.Health/Check", {{"x-huge", std::string(1 << 20, 'a')}});
  EXPECT_THAT(client.ReceiveUntilEnd(1), testing::HasSubstr("received initial metadata size exceeds limit"));
  EXPECT_TRUE(IsHealthy(**listener));
}

// Messages that are never finished: what the server holds of all of them is bounded, and the hungriest go.
TEST(ListenerTest, UnfinishedMessagesCannotFillTheMemory) {
  HealthState state;
  HealthService health(state);
  ListenerOptions options = Options(&health);
  options.max_buffered_bytes = 32 << 20;
  const auto listener = Listener::Start(options);
  ASSERT_TRUE(listener.ok());
  const std::string part(16 << 20, 'a');
  std::vector<std::unique_ptr<Http2Client>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(std::make_unique<Http2Client>((*listener)->port()));
    clients.back()->StartCall(1, "/grpc.health.v1.Health/Check");
    clients.back()->SendPart(1, 20 << 20, part);
  }
  // The last ones may still wait for the rest of theirs.
  for (int i = 0; i < 8; ++i) {
    clients[static_cast<size_t>(i)]->ReceiveUntilEnd(1);
    EXPECT_FALSE(clients[static_cast<size_t>(i)]->timed_out()) << i;
  }
  clients.clear();
  EXPECT_TRUE(IsHealthy(**listener));
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

#include "server/process/file_limit.h"

#include <sys/resource.h>

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "server/process/health.h"
#include "server/process/listener.h"
#include "tests/server/http2_client.h"

namespace stepcast {
namespace {

class FileLimitTest : public testing::Test {
 protected:
  FileLimitTest() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~FileLimitTest() override { setrlimit(RLIMIT_NOFILE, &before_); }

  rlimit before_{};
};

// More connections than the soft limit allows, and the server goes on.
TEST_F(FileLimitTest, IsRaisedToWhatTheSystemAllows) {
  constexpr int kClients = 300;
  if (before_.rlim_max < 3 * kClients) GTEST_SKIP() << "the hard limit is " << before_.rlim_max;
  const rlimit low{.rlim_cur = kClients, .rlim_max = before_.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(RaiseOpenFileLimit(), static_cast<int64_t>(before_.rlim_max));
  HealthState state;
  HealthService health(state);
  ListenerOptions options{.name = "gRPC", .host = "127.0.0.1", .services = {&health}};
  const auto listener = Listener::Start(options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::vector<std::unique_ptr<Http2Client>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<Http2Client>((*listener)->port()));
  for (const auto& client : clients) {
    client->StartCall(1, "/grpc.health.v1.Health/Check");
    client->SendMessage(1, /*compressed=*/false, "");
    ASSERT_NE(client->ReceiveUntilEnd(1).find("grpc-status"), std::string::npos);
  }
}

}  // namespace
}  // namespace stepcast

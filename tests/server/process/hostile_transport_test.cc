// What the transport does with clients that mean harm.

#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/process/health.h"
#include "server/process/listener.h"
#include "tests/server/http2_client.h"
#include "tests/server/service_fixture.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

constexpr char kGenerate[] = "/stepcast.v1.ImageGenerationService/Generate";
constexpr char kSchedule[] = "/stepcast.v1.SchedulerService/GetSchedule";
constexpr int kGzip = 15 + 16;  // zlib's window bits with gzip's header
constexpr int kZlib = 15;

// `megabytes` zeros, but for the end of the stream. After a full flush each megabyte compresses to the same bytes.
std::string Bomb(int window_bits, int megabytes) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string zeros(1 << 20, '\0');
  const auto next = [&] {
    std::string bytes(64 << 10, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = static_cast<uInt>(zeros.size());
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_out = static_cast<uInt>(bytes.size());
    deflate(&stream, Z_FULL_FLUSH);
    bytes.resize(bytes.size() - stream.avail_out);
    return bytes;
  };
  std::string bomb = next();
  const std::string megabyte = next();
  for (int i = 1; i < megabytes; ++i) bomb += megabyte;
  deflateEnd(&stream);
  return bomb;
}

// The most memory that this process has held since ResetPeak, in MiB.
int64_t PeakMib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoll(line.substr(6)) / 1024;
  }
  return -1;
}
void ResetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

class HostileTransportTest : public ServiceFixture {
 protected:
  // Everything the server answers to one compressed message.
  std::string SendCompressed(int port, const char* method, const char* encoding, const std::string& bytes) {
    Http2Client client(port);
    EXPECT_TRUE(client.connected());
    client.StartCall(1, method, {{"grpc-encoding", encoding}});
    client.SendMessage(1, /*compressed=*/true, bytes);
    return client.ReceiveUntilEnd(1);
  }
};

TEST_F(HostileTransportTest, CompressedRequestsAreRefusedUninflated) {
  Start();
  const std::string gzip = Bomb(kGzip, 256), deflate = Bomb(kZlib, 256);
  const struct {
    int port;
    const char* method;
    const char* encoding;
    const std::string& bytes;
  } rows[] = {{server_->ports().grpc, kGenerate, "gzip", gzip},
              {server_->ports().grpc, kGenerate, "deflate", deflate},
              {server_->ports().grpc, "/grpc.health.v1.Health/Check", "gzip", gzip},
              {server_->ports().grpc, "/no.such.Service/Method", "gzip", gzip},
              {server_->ports().admin, kSchedule, "gzip", gzip},
              {server_->ports().admin, "/grpc.health.v1.Health/Watch", "deflate", deflate}};
  ResetPeak();
  const int64_t before = PeakMib();
  for (const auto& row : rows) {
    const std::string answer = SendCompressed(row.port, row.method, row.encoding, row.bytes);
    EXPECT_THAT(answer, HasSubstr(std::string("Compression algorithm '") + row.encoding + "' is disabled."))
        << row.method;
  }
  // A bomb itself has a quarter of a megabyte.
  EXPECT_LT(PeakMib() - before, 64);
  EXPECT_TRUE(Generate(R"(prompt: "a")").status.ok());
}

// A limit that no answer of GetServerInfo tells is not looked for there.
TEST_F(HostileTransportTest, LongQuestionsAboutHealthAreRefused) {
  Start();
  const auto stub = grpc::health::v1::Health::NewStub(NewChannel());
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(2000, 'x'));
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, request, &response);
  EXPECT_EQ(ReasonIn(status), "WORK_LIMIT");
  EXPECT_EQ(status.error_message(), "the request has 2003 bytes; allowed: 1024 of this method");
}

// Without a name for it, or under the name that proxies use, a compressed message is bytes that are no request.
TEST_F(HostileTransportTest, UnannouncedCompressionIsNotInflatedEither) {
  Start();
  const std::string gzip = Bomb(kGzip, 256);
  ResetPeak();
  const int64_t before = PeakMib();
  for (const char* header : {"content-encoding", "x-nothing"}) {
    Http2Client client(server_->ports().grpc);
    client.StartCall(1, kGenerate, {{header, "gzip"}});
    client.SendMessage(1, /*compressed=*/true, gzip);
    EXPECT_THAT(client.ReceiveUntilEnd(1), HasSubstr("are no valid stepcast.v1.GenerateRequest"));
  }
  EXPECT_LT(PeakMib() - before, 64);
}

// In a process of its own with 512 MiB to spare: sends twelve bombs of a gigabyte; ends with 0 when each was refused.
[[noreturn]] void SendBombsUnderALimit() {
  HealthState state;
  HealthService health(state);
  ListenerOptions options{.name = "gRPC", .host = "127.0.0.1", .services = {&health}};
  const auto listener = Listener::Start(options);
  const std::string bomb = Bomb(kGzip, 1024);
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  const rlim_t bytes = pages * static_cast<rlim_t>(getpagesize()) + (rlim_t{512} << 20);
  const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
  setrlimit(RLIMIT_AS, &limit);
  int refused = 0;
  for (int i = 0; i < 12; ++i) {
    Http2Client client((*listener)->port());
    client.StartCall(1, "/grpc.health.v1.Health/Check", {{"grpc-encoding", "gzip"}});
    client.SendMessage(1, /*compressed=*/true, bomb);
    if (client.ReceiveUntilEnd(1).find("is disabled") != std::string::npos) ++refused;
  }
  std::_Exit(refused == 12 ? 0 : 1);
}

TEST(HostileTransportDeathTest, BombsDoNotReachAMemoryLimit) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
  GTEST_SKIP() << "sanitizers reserve more address space than the limit";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(SendBombsUnderALimit(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace stepcast

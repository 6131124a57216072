// What operators do to the real server: tokens, signals, the environment, systemd, a log that nobody reads.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/clock.h"
#include "tests/e2e/server_fixture.h"
#include "tests/support/await.h"

namespace stepcast::e2e {
namespace {

namespace v1 = ::stepcast::v1;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Scratch() {
  const std::string folder = testing::TempDir() + "stepcast_operations_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  return folder;
}

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = Scratch() + "/" + name;
  std::ofstream(path, std::ios::trunc) << text;
  return path;
}

std::string Models() { return "models: [{id: digits, path: " STEPCAST_SOURCE_DIR "/models/digits}]\n"; }

TEST(OperationsTest, AMadeTokenLetsItsTenantIn) {
  const ExitReport made = RunProgram({BinaryPath("stepcast-server"), "--new_token", "acme"});
  ASSERT_EQ(made.code, 0) << made.output;
  const size_t end = made.output.find('\n');
  const std::string token = made.output.substr(0, end);
  const std::string tokens = WriteFile("tokens.yaml", made.output.substr(end + 1));
  Server server({"--config=" + WriteFile("tokens_config.yaml", Models() + "auth: {token_file: " + tokens + "}\n")});
  const std::string cli = BinaryPath("stepcast");
  const ExitReport stranger = RunProgram({cli, "--host", server.address(), "models"});
  EXPECT_EQ(stranger.code, 3) << stranger.output;
  EXPECT_THAT(stranger.output, HasSubstr("bearer token"));
  const ExitReport friendly = RunProgram({cli, "--host", server.address(), "--token", token, "models"});
  EXPECT_EQ(friendly.code, 0) << friendly.output;
  EXPECT_THAT(friendly.output, HasSubstr("digits"));
  EXPECT_THAT(server.log(), AllOf(HasSubstr("\"tenant\":\"acme\""), Not(HasSubstr(token))));
}

TEST(OperationsTest, WhatIsInEffectIsPrintedWithWhatSetIt) {
  const std::string config = WriteFile("print.yaml", Models() + "limits: {max_side: 512, max_steps: 30}\n");
  const ExitReport report = RunProgram({"/usr/bin/env", "STEPCAST_LIMITS_MAX_STEPS=40", BinaryPath("stepcast-server"),
                                        "--config", config, "--print_config", "--threads=1"});
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output,
              AllOf(HasSubstr("  max_side: 512  # file\n"), HasSubstr("  max_steps: 40  # environment\n"),
                    HasSubstr("threads: 1  # flag\n"), HasSubstr("  max_image_count: 4\n")));
  const ExitReport wrong = RunProgram({"/usr/bin/env", "STEPCAST_LIMITS_MAX_STEPS=many", BinaryPath("stepcast-server"),
                                       "--config", config, "--check_config"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("STEPCAST_LIMITS_MAX_STEPS: got \"many\""));
}

TEST(OperationsTest, SighupReadsTheConfigurationAgain) {
  const std::string config = WriteFile("reload.yaml", Models());
  Server server({"--config=" + config});
  const auto refused = [&server] {
    v1::GenerateRequest request;
    request.set_model("digits");
    request.set_class_index(1);
    request.set_steps(100);
    request.set_validate_only(true);
    return !Generate(server, request).status.ok();
  };
  EXPECT_FALSE(refused());
  WriteFile("reload.yaml", Models() + "limits: {max_steps: 50, max_stepps: 1}\n");
  server.process().Signal(SIGHUP);
  EXPECT_TRUE(Await([&] { return server.log().find("did you mean max_steps?") != std::string::npos; }));
  EXPECT_FALSE(refused()) << "a file with a mistake changes nothing";
  WriteFile("reload.yaml", Models() + "limits: {max_steps: 50}\nmax_rows: 4\n");
  server.process().Signal(SIGHUP);
  EXPECT_TRUE(Await(refused));
  EXPECT_TRUE(Await([&] { return server.log().find("these keys take a restart") != std::string::npos; }));
  EXPECT_THAT(server.log(), HasSubstr("\"keys\":\"max_rows"));
}

TEST(OperationsTest, AnIdleConnectionDoesNotHoldTheEndUp) {
  Server server;
  const auto channel = server.NewChannel();  // nobody reads from it: it never hears that it is to go
  v1::GetServerInfoResponse info;
  grpc::ClientContext context;
  ASSERT_TRUE(v1::ImageGenerationService::NewStub(channel)->GetServerInfo(&context, {}, &info).ok());
  const absl::Time start = RealClock().Now();
  server.process().Signal(SIGTERM);
  EXPECT_EQ(server.process().Wait(), 0);
  // It took five seconds; a busy machine may need a moment for the rest.
  EXPECT_LT(RealClock().Now() - start, absl::Seconds(4));
}

TEST(OperationsTest, SystemdIsToldOfEachState) {
  const std::string path = Scratch() + "/notify";
  unlink(path.c_str());
  const int listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, path.c_str(), sizeof(at.sun_path) - 1);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  setenv("WATCHDOG_USEC", "2000000", 1);
  Server server;
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  std::string heard;
  const auto hears = [&](const std::string& words) {
    return Await([&] {
      char buffer[512];
      for (ssize_t size; (size = recv(listener, buffer, sizeof(buffer), 0)) > 0;) {
        heard += std::string(buffer, static_cast<size_t>(size)) + "|";
      }
      return heard.find(words) != std::string::npos;
    });
  };
  EXPECT_TRUE(hears("READY=1"));
  EXPECT_TRUE(hears("WATCHDOG=1"));
  server.process().Signal(SIGHUP);
  EXPECT_TRUE(hears("RELOADING=1"));
  server.process().Signal(SIGTERM);
  EXPECT_TRUE(hears("STOPPING=1"));
  close(listener);
}

}  // namespace
}  // namespace stepcast::e2e

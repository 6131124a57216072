// What happens to files, disks and processes around a real server.

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/files/image_codec.h"
#include "tests/e2e/server_fixture.h"
#include "tests/support/await.h"

namespace stepcast::e2e {
namespace {

namespace v1 = ::stepcast::v1;
namespace fs = std::filesystem;

using ::testing::HasSubstr;

// A folder of its own, gone with the test.
class FaultsTest : public testing::Test {
 protected:
  FaultsTest() { fs::create_directories(folder_); }
  ~FaultsTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name, std::ios::trunc) << text;
    return folder_ + "/" + name;
  }

  static v1::GenerateRequest Digit() {
    v1::GenerateRequest request;
    request.set_model("digits");
    request.set_class_index(3);
    request.set_seed(4);
    request.set_steps(4);
    return request;
  }

  const std::string folder_ = testing::TempDir() + "stepcast_faults_" + std::to_string(getpid());
};

// Every regular file of more than a page below `folder`.
std::vector<fs::path> WeightFiles(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  return files;
}

TEST_F(FaultsTest, ModelFilesMayBeCutAndReplacedWhileServing) {
  const std::string source = std::string(STEPCAST_SOURCE_DIR) + "/models";
  const std::string models = folder_ + "/models";
  fs::create_directories(models);
  fs::copy(source + "/digits", models + "/digits", fs::copy_options::recursive);
  fs::create_directory_symlink(source + "/emoji", models + "/emoji");
  Server server({"--models_dir=" + models});
  const auto control = [&server](const std::string& what) {
    return RunProgram({BinaryPath("stepcast"), what, "digits", "--admin", server.admin_address()});
  };
  const StreamResult before = Generate(server, Digit());
  ASSERT_TRUE(before.status.ok()) << before.status.error_message();
  const std::vector<fs::path> files = WeightFiles(models + "/digits");
  ASSERT_FALSE(files.empty());
  for (const fs::path& file : files) fs::resize_file(file, fs::file_size(file) / 2);
  const StreamResult cut = Generate(server, Digit());
  ASSERT_TRUE(cut.status.ok()) << "what is in memory needs no file: " << cut.status.error_message();
  EXPECT_EQ(cut.images.front().sha256(), before.images.front().sha256());

  // Read again the file tells what is wrong with it, and other models go on.
  EXPECT_EQ(control("unload").code, 0);
  EXPECT_NE(control("load").code, 0);
  v1::GenerateRequest other;
  other.set_model("emoji");
  other.set_prompt("a red apple");
  other.set_steps(2);
  EXPECT_TRUE(Generate(server, other).status.ok());
  for (const fs::path& file : files) {
    fs::copy_file(source + file.string().substr(models.size()), file, fs::copy_options::overwrite_existing);
  }
  const ExitReport loaded = control("load");
  EXPECT_EQ(loaded.code, 0) << loaded.output;
  const StreamResult after = Generate(server, Digit());
  ASSERT_TRUE(after.status.ok()) << after.status.error_message();
  EXPECT_EQ(after.images.front().sha256(), before.images.front().sha256());
}

TEST_F(FaultsTest, AConfigurationThatIsGoneChangesNothing) {
  const std::string config = Write("config.yaml", "limits: {max_steps: 20}\n");
  Server server({"--config=" + config});
  ASSERT_EQ(unlink(config.c_str()), 0);
  server.process().Signal(SIGHUP);
  EXPECT_TRUE(
      Await([&] { return server.Metric("stepcast_config_reloads_total{result=\"failed\",what=\"config\"}") == 1; }));
  v1::GenerateRequest request = Digit();
  EXPECT_TRUE(Generate(server, request).status.ok());
  request.set_steps(21);
  EXPECT_EQ(Generate(server, request).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << "the old limits";
  EXPECT_THAT(server.log(), HasSubstr("config.yaml"));
}

// Bytes that a PNG decoder works on for a while.
std::string NoisyPicture() {
  Image image{.width = 1024, .height = 1024, .pixels = std::vector<uint8_t>(3 * 1024 * 1024)};
  uint32_t state = 1;
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return EncodeImage(image, {}).value();
}

// At any moment of it, and twice.
TEST_F(FaultsTest, SigtermDuringAnUploadIsADrain) {
  v1::GenerateRequest request;
  request.set_prompt("a red apple");
  request.set_steps(4);
  request.set_init_image(NoisyPicture());
  request.set_resize_mode(v1::RESIZE_MODE_COVER);
  for (const int signals : {1, 2}) {
    Server server;
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        const grpc::Status status = Generate(server, request).status;
        // Whatever moment it was. CANCELLED is what gRPC says to a call that arrives while it shuts down.
        EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                    status.error_code() == grpc::StatusCode::CANCELLED)
            << status.error_code() << " " << status.error_message();
      });
    }
    EXPECT_TRUE(Await([&] { return server.Metric("stepcast_upload_bytes") > 0; }));
    for (int i = 0; i < signals; ++i) server.process().Signal(SIGTERM);
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(server.process().Wait(), 0) << server.log();
  }
}

TEST_F(FaultsTest, WhatAKilledServerLeftStandsInNobodysWay) {
  const std::string path = folder_ + "/public.sock";
  const std::string config = Write("config.yaml", "listen: {host: 'unix:" + path + "'}\n");
  const std::vector<std::string> command = {BinaryPath("stepcast-server"),
                                            std::string("--models_dir=") + STEPCAST_SOURCE_DIR + "/models",
                                            "--config=" + config,
                                            "--admin_port=0",
                                            "--metrics_port=0",
                                            "--profile_budget=0",
                                            "--port_file=" + folder_ + "/ports.json"};
  for (const int end : {SIGKILL, SIGTERM}) {
    ChildProcess server(command, folder_ + "/log");
    const ExitReport health = RunProgram({BinaryPath("stepcast"), "--host", "unix:" + path, "health", "--wait", "120",
                                          "--while-pid", std::to_string(server.pid())});
    EXPECT_EQ(health.code, 0) << health.output << ReadFile(folder_ + "/log");
    server.Signal(end);
    EXPECT_EQ(server.Wait(), end == SIGKILL ? 128 + SIGKILL : 0) << ReadFile(folder_ + "/log");
  }
}

TEST_F(FaultsTest, AFullDiskUnderTheLogHarmsNobody) {
  ChildProcess server({BinaryPath("stepcast-server"), std::string("--models_dir=") + STEPCAST_SOURCE_DIR + "/models",
                       "--default_model=emoji", "--port=0", "--admin_port=0", "--metrics_port=0", "--profile_budget=0",
                       "--port_file=" + folder_ + "/ports.json"},
                      "/dev/full");
  EXPECT_TRUE(Await([&] { return fs::exists(folder_ + "/ports.json"); }));
  const std::string ports = ReadFile(folder_ + "/ports.json");
  const std::string port = ports.substr(ports.find("\"port\":") + 7);
  const std::string host = "127.0.0.1:" + port.substr(0, port.find_first_not_of("0123456789"));
  EXPECT_EQ(RunProgram({BinaryPath("stepcast"), "--host", host, "health", "--wait", "120"}).code, 0);
  const ExitReport painted = RunProgram({BinaryPath("stepcast"), "--host", host, "generate", "a red apple", "--steps",
                                         "2", "-o", folder_ + "/apple.png"});
  EXPECT_EQ(painted.code, 0) << painted.output;
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

}  // namespace
}  // namespace stepcast::e2e

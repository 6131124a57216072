// What the server says before it serves: flags, configuration, models that are left out.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Scratch() {
  const std::string folder = testing::TempDir() + "stepcast_start_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(StartTest, HelpShowsTheFlagsAndMistakesEndWith2) {
  const ExitReport help = RunProgram({BinaryPath("stepcast-server"), "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, AllOf(HasSubstr("--models_dir"), HasSubstr("--check_config")));
  const ExitReport unknown = RunProgram({BinaryPath("stepcast-server"), "--frobnicate=1"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.output, HasSubstr("--frobnicate"));
  const ExitReport number = RunProgram({BinaryPath("stepcast-server"), "--port=many"});
  EXPECT_EQ(number.code, 2);
  EXPECT_THAT(number.output, HasSubstr("--port: got \"many\""));
}

TEST(StartTest, AModelIsValidatedWithoutBeingServed) {
  const ExitReport fine =
      RunProgram({BinaryPath("stepcast-server"), "--validate_model", STEPCAST_SOURCE_DIR "/models/emoji"});
  EXPECT_EQ(fine.code, 0) << fine.output;
  EXPECT_THAT(fine.output, AllOf(HasSubstr("StableDiffusionPipeline"), HasSubstr("UNet2DConditionModel"),
                                 HasSubstr("prediction_type"), HasSubstr("DPMPP_2M, 20 steps"),
                                 HasSubstr("the model can be served")));
  const ExitReport none =
      RunProgram({BinaryPath("stepcast-server"), "--validate_model", STEPCAST_SOURCE_DIR "/models"});
  EXPECT_EQ(none.code, 3) << none.output;
  EXPECT_THAT(none.output, HasSubstr("no model_index.json"));
}

TEST(StartTest, CheckConfigFindsFilesAndHosts) {
  const std::string folder = Scratch();
  std::filesystem::create_directories(folder + "/recordings");
  std::ofstream(folder + "/a.yaml") << "models: [{id: emoji, path: " << STEPCAST_SOURCE_DIR << "/models/emoji}]\n"
                                    << "record_file: recordings\n"
                                    << "port_file: ./ports\n"
                                    << "scheduler: {profile: {cache_file: recordings/../ports}}\n"
                                    << "listen: {metrics_host: '::1'}\n";
  const ExitReport report =
      RunProgram({BinaryPath("stepcast-server"), "--check_config", "--config", folder + "/a.yaml"});
  EXPECT_EQ(report.code, 2);
  EXPECT_THAT(report.output, HasSubstr("record_file: got "));
  EXPECT_THAT(report.output, HasSubstr(": a folder; allowed: a regular file"));
  EXPECT_THAT(report.output, HasSubstr("scheduler.profile.cache_file: got "));
  EXPECT_THAT(report.output, HasSubstr("listen.metrics_host: got \"::1\""));
  EXPECT_TRUE(std::filesystem::is_directory(folder + "/recordings"));

  std::ofstream(folder + "/b.yaml") << "models: [{id: emoji, path: " << STEPCAST_SOURCE_DIR << "/models/emoji}]\n"
                                    << "listen: {host: 'unix:run/s'}\n";
  const ExitReport relative =
      RunProgram({BinaryPath("stepcast-server"), "--check_config", "--config", folder + "/b.yaml"});
  EXPECT_EQ(relative.code, 2);
  EXPECT_THAT(relative.output, HasSubstr("listen.host: got \"unix:run/s\""));
}

TEST(StartTest, OneBadModelStopsNoOther) {
  const std::string folder = Scratch() + "/models";
  for (const char* name : {"broken", "Odd Name"}) {
    std::filesystem::create_directories(folder + "/" + name);
    std::ofstream(folder + "/" + name + "/model_index.json") << "{";
  }
  std::filesystem::remove(folder + "/digits");
  std::filesystem::create_symlink(std::string(STEPCAST_SOURCE_DIR) + "/models/digits", folder + "/digits");
  {
    const Server server({"--models_dir=" + folder, "--default_model=broken", "--threads=1"});
    EXPECT_THAT(server.log(), HasSubstr("model left out"));
    EXPECT_THAT(server.log(), HasSubstr("Odd Name"));
    EXPECT_THAT(server.log(), HasSubstr("another stands in"));
    EXPECT_THAT(server.log(), HasSubstr("\"threads\":1"));
    stepcast::v1::GenerateRequest request;
    request.set_class_label("7");
    request.set_steps(2);
    const StreamResult result = Generate(server, request);
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    EXPECT_EQ(result.accepted.request().model(), "digits");
  }
  std::filesystem::remove(folder + "/digits");
  const ExitReport none = RunProgram(
      {BinaryPath("stepcast-server"), "--models_dir=" + folder, "--port=0", "--admin_port=-1", "--metrics_port=-1"});
  EXPECT_EQ(none.code, 3) << none.output;
  EXPECT_THAT(none.output, HasSubstr("model 'broken' in "));
}

}  // namespace
}  // namespace stepcast::e2e

// The programs people use: the command line client and grpcurl.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

using testing::HasSubstr;

class ToolsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new Server; }
  static void TearDownTestSuite() { delete server_; }

  ExitReport Cli(std::vector<std::string> arguments) {
    std::vector<std::string> command = {BinaryPath("stepcast"), "--host", server_->address()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProgram(command);
  }

  static std::string TempPath(const std::string& name) {
    return testing::TempDir() + "stepcast_" + std::to_string(getpid()) + "_" + name;
  }

  static inline Server* server_ = nullptr;
};

TEST_F(ToolsTest, CliGenerateWritesThePicture) {
  const std::string path = TempPath("apple.png");
  const ExitReport report =
      Cli({"generate", "a red apple", "-o", path, "--seed", "7", "--steps", "20", "--watch", "--json"});
  ASSERT_EQ(report.code, 0) << report.output;
  const nlohmann::json json = nlohmann::json::parse(report.output);
  EXPECT_EQ(json["images"][0]["path"], path);
  EXPECT_EQ(json["images"][0]["seed"], 7);
  EXPECT_EQ(Decode(ReadFile(path)).width, 64);
}

TEST_F(ToolsTest, CliFormatFollowsTheExtension) {
  const std::string path = TempPath("apple.jpg");
  ASSERT_EQ(Cli({"generate", "a red apple", "-o", path}).code, 0);
  EXPECT_EQ(ReadFile(path).substr(0, 2), "\xff\xd8");
}

TEST_F(ToolsTest, CliSeveralPicturesGetNumbers) {
  const std::string path = TempPath("many.png");
  ASSERT_EQ(Cli({"generate", "panda", "-o", path, "--count", "2"}).code, 0);
  EXPECT_EQ(Decode(ReadFile(TempPath("many-0.png"))).width, 64);
  EXPECT_EQ(Decode(ReadFile(TempPath("many-1.png"))).width, 64);
}

TEST_F(ToolsTest, CliNamesTheFieldThatWasRefused) {
  const ExitReport report = Cli({"generate", "a red apple", "--width", "65", "-o", TempPath("x.png")});
  EXPECT_EQ(report.code, 3);
  EXPECT_THAT(report.output, HasSubstr("width"));
  EXPECT_THAT(report.output, HasSubstr("65"));
}

TEST_F(ToolsTest, CliTellsAboutTheServer) {
  const ExitReport models = Cli({"models"});
  EXPECT_EQ(models.code, 0);
  EXPECT_THAT(models.output, HasSubstr("emoji"));
  const ExitReport model = Cli({"models", "emoji"});
  EXPECT_EQ(model.code, 0);
  EXPECT_THAT(model.output, HasSubstr("sha256"));
  const ExitReport info = Cli({"info", "--json"});
  EXPECT_EQ(info.code, 0);
  EXPECT_EQ(nlohmann::json::parse(info.output)["default_model"], "emoji");
  EXPECT_EQ(Cli({"health"}).code, 0);
  EXPECT_EQ(Cli({"frobnicate"}).code, 2);
}

TEST_F(ToolsTest, APictureIsPaintedAgainFromItself) {
  for (const std::string extension : {".png", ".jpg", ".webp"}) {
    const std::string path = TempPath("kept" + extension);
    const std::string again = TempPath("again" + extension);
    const ExitReport first =
        Cli({"generate", "a \"red\" apple,\n\xe3\x82\x8a\xe3\x82\x93\xe3\x81\x94", "-n", "worm", "-o", path, "--steps",
             "5", "--guidance", "2.3", "--sampler", "euler", "--embed-parameters"});
    ASSERT_EQ(first.code, 0) << first.output;
    const ExitReport second = Cli({"generate", "--from", path, "-o", again, "--embed-parameters"});
    ASSERT_EQ(second.code, 0) << second.output;
    EXPECT_TRUE(ReadFile(path) == ReadFile(again)) << extension;
    const ExitReport other = Cli({"generate", "--from", path, "-o", again, "--seed", "12345", "--embed-parameters"});
    ASSERT_EQ(other.code, 0) << other.output;
    EXPECT_FALSE(ReadFile(path) == ReadFile(again)) << "explicit options win";
  }
  const ExitReport none = Cli({"generate", "--from", "/dev/null", "-o", TempPath("none.png")});
  EXPECT_EQ(none.code, 2) << none.output;
}

TEST_F(ToolsTest, CliRefusesOutputsThatCannotBe) {
  const std::string out = TempPath("absent/a.png");
  for (const std::vector<std::string>& options : {std::vector<std::string>{"-o", out},
                                                  {"-o", TempPath("a.gif")},
                                                  {"-o", ""},
                                                  {"--count", "2", "-o", "-"},
                                                  {"--json", "-o", "-"},
                                                  {"--watch", "-o", "-"},
                                                  {"--steps", "0x10"}}) {
    std::vector<std::string> command = {"generate", "a red apple"};
    command.insert(command.end(), options.begin(), options.end());
    const ExitReport report = Cli(command);
    EXPECT_NE(report.code, 0) << options.back();
    EXPECT_LE(report.code, 2) << options.back() << report.output;
    EXPECT_FALSE(report.output.empty());
  }
}

TEST_F(ToolsTest, CliPaintsADigit) {
  const std::string path = TempPath("seven.png");
  const ExitReport report = Cli({"generate", "--model", "digits", "--class-label", "7", "--classifier-scale", "1",
                                 "--timesteps", "999,750,500,250", "--sampler", "ddpm", "-o", path, "--json"});
  ASSERT_EQ(report.code, 0) << report.output;
  const nlohmann::json json = nlohmann::json::parse(report.output);
  EXPECT_EQ(json["request"]["class_index"], 7);
  EXPECT_EQ(json["request"]["classifier_scale"], 1.0);
  EXPECT_EQ(json["request"]["steps"], 4);
  EXPECT_EQ(Decode(ReadFile(path)).width, 32);
}

TEST_F(ToolsTest, CliListsSamplers) {
  const ExitReport report = Cli({"samplers", "digits"});
  ASSERT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("evals/12"));
  EXPECT_THAT(report.output, HasSubstr("dpmpp_2m *"));
  EXPECT_THAT(report.output, HasSubstr("eta"));
  EXPECT_EQ(Cli({"samplers", "absent"}).code, 3);
}

TEST_F(ToolsTest, CliComparesSamplersOnOneSheet) {
  const std::string path = TempPath("sheet.png");
  const ExitReport report = Cli({"generate", "--model", "digits", "--class-label", "3", "--steps", "4", "--compare",
                                 "euler,ddim,dpmpp_2m", "-o", path});
  ASSERT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("row 2 column 1  dpmpp_2m"));
  const Image sheet = Decode(ReadFile(path));
  EXPECT_EQ(sheet.width, 66) << "two pictures and a gap";
  EXPECT_EQ(sheet.height, 66);
}

TEST_F(ToolsTest, CliTellsHowLongARequestWouldTake) {
  const ExitReport report =
      Cli({"generate", "a red apple", "--validate-only", "--priority", "batch", "--tenant", "acme"});
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("valid"));
  EXPECT_EQ(Cli({"generate", "a red apple", "--tenant", "a b"}).code, 2);
  EXPECT_EQ(Cli({"generate", "a red apple", "--tenant", "a/b", "-o", TempPath("x.png")}).code, 3);
  EXPECT_EQ(Cli({"generate", "a red apple", "--priority", "royal"}).code, 2);
}

TEST_F(ToolsTest, CliTopShowsOneFrame) {
  const std::vector<std::string> top = {"top", "--admin", server_->admin_address(), "--once", "--interval", "0.2"};
  const ExitReport text = Cli(top);
  EXPECT_EQ(text.code, 0) << text.output;
  EXPECT_THAT(text.output, HasSubstr("policy"));
  EXPECT_THAT(text.output, HasSubstr("serving"));
  std::vector<std::string> json = top;
  json.emplace_back("--json");
  const ExitReport frame = Cli(json);
  EXPECT_EQ(frame.code, 0) << frame.output;
  EXPECT_EQ(nlohmann::json::parse(frame.output)["schedule"]["devices"].size(), 1u);
  EXPECT_EQ(Cli({"top", "--admin", server_->address(), "--once"}).code, 1) << "the public port has no such service";
  EXPECT_EQ(Cli({"top", "--admin", "127.0.0.1:1", "--once", "--interval", "0.2"}).code, 4);
}

TEST_F(ToolsTest, CliWithoutAServer) {
  const ExitReport report = RunProgram({BinaryPath("stepcast"), "--host", "127.0.0.1:1", "info"});
  EXPECT_EQ(report.code, 4);
}

// The folder where ./dev puts grpcurl, then the user's PATH.
std::string FindGrpcurl() {
  std::string path = std::string(STEPCAST_SOURCE_DIR) + "/.deps/bin:";
  if (const char* environment = std::getenv("PATH")) path += environment;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string candidate = path.substr(begin, end - begin) + "/grpcurl";
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return "";
}

class GrpcurlTest : public ToolsTest {
 protected:
  void SetUp() override {
    grpcurl_ = FindGrpcurl();
    if (grpcurl_.empty()) GTEST_SKIP() << "grpcurl is not installed; ./dev test installs it where Go is";
  }
  ExitReport Call(const std::string& data, const std::string& method) {
    return RunProgram({grpcurl_, "-plaintext", "-d", data, server_->address(), method});
  }
  std::string grpcurl_;
};

TEST_F(GrpcurlTest, List) {
  const ExitReport report = RunProgram({grpcurl_, "-plaintext", server_->address(), "list"});
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("stepcast.v1.ImageGenerationService"));
  EXPECT_THAT(report.output, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(GrpcurlTest, Generate) {
  const ExitReport report = Call(R"({"prompt":"a red apple","seed":7})", "stepcast.v1.ImageGenerationService/Generate");
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("\"accepted\""));
  EXPECT_THAT(report.output, testing::ContainsRegex("\"image_?[cC]hunk\""));
  EXPECT_THAT(report.output, HasSubstr("\"completed\""));
}

TEST_F(GrpcurlTest, GenerateADigit) {
  const ExitReport report =
      Call(R"({"model":"digits","class_label":"7"})", "stepcast.v1.ImageGenerationService/Generate");
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("\"completed\""));
}

TEST_F(GrpcurlTest, GenerateImage) {
  const ExitReport report =
      Call(R"({"request":{"prompt":"a red apple"}})", "stepcast.v1.ImageGenerationService/GenerateImage");
  ASSERT_EQ(report.code, 0) << report.output;
  const nlohmann::json json = nlohmann::json::parse(report.output);
  EXPECT_EQ(json["images"][0]["data"].get<std::string>().substr(0, 11), "iVBORw0KGgo");  // base64 of PNG's magic
}

TEST_F(GrpcurlTest, Health) {
  const ExitReport report = Call(R"({"service":"readiness"})", "grpc.health.v1.Health/Check");
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_THAT(report.output, HasSubstr("SERVING"));
}

TEST_F(GrpcurlTest, ARefusalShowsTheField) {
  const ExitReport report =
      Call(R"({"prompt":"a red apple","width":65})", "stepcast.v1.ImageGenerationService/Generate");
  EXPECT_NE(report.code, 0);
  EXPECT_THAT(report.output, HasSubstr("width"));
}

}  // namespace
}  // namespace stepcast::e2e

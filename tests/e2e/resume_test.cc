// A picture that one server hands out, or whose server dies, goes on in another and has the same bytes.

#include <sched.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

namespace v1 = ::stepcast::v1;

std::string WriteConfig(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "stepcast_resume_" + std::to_string(getpid()) + "_" + name;
  std::ofstream(path, std::ios::trunc) << text;
  return path;
}

// Its drain ends at once, and its tokens are good in all of its kind.
std::vector<std::string> Flags() {
  const std::string keys = WriteConfig("keys", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n");
  return {"--config=" + WriteConfig("config.yaml", "drain: {timeout: 100ms}\nresume: {key_file: " + keys +
                                                       ", min_checkpoint_every: 1}\n")};
}

v1::GenerateRequest Request(int steps) {
  v1::GenerateRequest request;
  request.set_prompt("a red apple");
  request.set_sampler(v1::SAMPLER_EULER_ANCESTRAL);
  request.set_seed(11);
  request.set_steps(steps);
  return request;
}

class ResumeTest : public testing::Test {
 protected:
  Server next_{Flags()};

  std::string Sha256Of(const v1::GenerateRequest& request, int64_t* evaluations = nullptr) {
    const StreamResult result = Generate(next_, request);
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    if (evaluations != nullptr) *evaluations = result.completed.evaluations();
    return result.images.empty() ? "none" : result.images.front().sha256();
  }
};

TEST_F(ResumeTest, APictureThatWasHandedOutIsTheSamePicture) {
  Server first(Flags());
  auto stub = first.NewStub();
  grpc::ClientContext context;
  v1::GenerateRequest request = Request(60);
  auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  bool told = false;
  std::vector<v1::Parked> parked;
  while (reader->Read(&response)) {
    if (response.has_parked()) parked.push_back(response.parked());
    const bool runs = response.has_progress() && response.progress().evaluations_done() > 3;
    if (runs && !std::exchange(told, true)) first.process().Signal(SIGTERM);
  }
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_EQ(first.process().Wait(), 0) << first.log();
  ASSERT_EQ(parked.size(), 1u);
  for (const v1::Parked& one : parked) {
    EXPECT_GT(one.evaluations_done(), 3);
    EXPECT_EQ(one.evaluations_total(), 60);
    v1::GenerateRequest rest = Request(60);
    rest.set_seed(11 + one.image_index());
    const std::string expected = Sha256Of(rest);
    rest.set_resume_token(one.resume_token());
    int64_t evaluations = 0;
    EXPECT_EQ(Sha256Of(rest, &evaluations), expected);
    EXPECT_EQ(evaluations, 60 - one.evaluations_done()) << "nothing is repeated";
  }
}

TEST_F(ResumeTest, ACheckpointOutlivesItsServer) {
  Server first(Flags());
  auto stub = first.NewStub();
  grpc::ClientContext context;
  v1::GenerateRequest request = Request(60);
  request.set_checkpoint_every(4);
  auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  v1::Checkpoint last;
  while (reader->Read(&response)) {
    if (!response.has_checkpoint()) continue;
    EXPECT_EQ(response.checkpoint().evaluations_done() % 4, 0);
    last = response.checkpoint();
    if (last.evaluations_done() >= 12) first.process().Signal(SIGKILL);
  }
  EXPECT_FALSE(reader->Finish().ok());
  ASSERT_GE(last.evaluations_done(), 12);
  v1::GenerateRequest rest = Request(60);
  const std::string expected = Sha256Of(rest);
  rest.set_resume_token(last.resume_token());
  EXPECT_EQ(Sha256Of(rest), expected);

  rest.set_steps(149);
  const grpc::Status other = Generate(next_, rest).status;
  EXPECT_EQ(other.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(other.error_message(), testing::HasSubstr("another request or picture"));
  rest = Request(60);
  rest.set_resume_token(last.resume_token().substr(1));
  EXPECT_THAT(Generate(next_, rest).status.error_message(), testing::HasSubstr("damaged"));
}

// The command line client on its own: asks for Request(60), twice.
class CommandLine {
 public:
  explicit CommandLine(const std::string& hosts)
      : log_(WriteConfig("cli.log", "")),
        process_({BinaryPath("stepcast"), "--host", hosts, "generate", "a red apple", "--sampler", "euler_ancestral",
                  "--seed", "11", "--steps", "60", "--count", "2", "--checkpoint-every", "4", "--json", "-q", "-o",
                  WriteConfig("cli.png", "")},
                 log_) {}

  // Returns when `server` has made some evaluations.
  static void AwaitTicks(const Server& server) {
    while (server.Metric("stepcast_tick_duration_seconds_count{phase=\"denoise\"}") < 12) sched_yield();
  }

  nlohmann::json Result() {
    EXPECT_EQ(process_.Wait(), 0) << ReadFile(log_);
    const std::string text = ReadFile(log_);
    const auto json = nlohmann::json::parse(text.substr(std::min(text.size(), text.find('{'))), nullptr, false);
    EXPECT_TRUE(json.is_object()) << text;
    return json.is_object() ? json : nlohmann::json::object();
  }

 private:
  const std::string log_;
  ChildProcess process_;
};

void ExpectTheSamePictures(const Server& server, const nlohmann::json& result) {
  v1::GenerateRequest whole = Request(60);
  whole.set_image_count(2);
  const StreamResult expected = Generate(server, whole);
  ASSERT_EQ(result.at("images").size(), 2u);
  ASSERT_EQ(expected.images.size(), 2u);
  // Pictures come as they are done.
  std::map<int, std::string> sha256;
  for (const v1::ImageChunk& image : expected.images) sha256[image.image_index()] = image.sha256();
  for (const auto& image : result.at("images")) EXPECT_EQ(image.at("sha256"), sha256.at(image.at("index")));
  EXPECT_GE(result.at("attempts"), 2);
  EXPECT_LT(result.at("evaluations"), 2 * 60 - 4) << "what had been done was not repeated";
}

TEST_F(ResumeTest, TheCommandLineGoesOnElsewhere) {
  Server first(Flags());
  CommandLine cli(first.address() + "," + next_.address());
  CommandLine::AwaitTicks(first);
  first.process().Signal(SIGTERM);
  ExpectTheSamePictures(next_, cli.Result());
}

TEST_F(ResumeTest, TheCommandLineWaitsForAServerThatDied) {
  auto first = std::make_unique<Server>(Flags());
  CommandLine cli(first->address());
  CommandLine::AwaitTicks(*first);
  first->process().Signal(SIGKILL);
  first->process().Wait();
  std::vector<std::string> flags = Flags();
  flags.push_back("--port=" + first->address().substr(first->address().rfind(':') + 1));
  const Server again(flags);
  ExpectTheSamePictures(again, cli.Result());
}

TEST_F(ResumeTest, AServerWithoutKeysHandsOutNothing) {
  Server plain;
  v1::GenerateRequest request = Request(4);
  request.set_checkpoint_every(2);
  EXPECT_THAT(Generate(plain, request).status.error_message(), testing::HasSubstr("checkpoint_every"));
  request.clear_checkpoint_every();
  request.set_resume_token("x");
  EXPECT_THAT(Generate(plain, request).status.error_message(), testing::HasSubstr("the server hands out none"));
}

}  // namespace
}  // namespace stepcast::e2e

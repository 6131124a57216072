// A picture that one server hands out, or whose server dies, goes on in another and has the same bytes.

#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

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

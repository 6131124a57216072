// LoRAs with the real binary and the bundled model.

#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

namespace fs = std::filesystem;
namespace v1 = ::stepcast::v1;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kLineArt[] = "emoji-line-art";

// The shipped LoRA twice, so that the budget of the server holds one of them, and one of another family.
const fs::path& Loras() {
  static const fs::path& folder = *new fs::path([] {
    const fs::path made = fs::path(testing::TempDir()) / "loras_test";
    const fs::path shipped = STEPCAST_SOURCE_DIR "/loras";
    fs::remove_all(made);
    fs::create_directories(made);
    for (const char* file : {"emoji-line-art.safetensors", "emoji-line-art.json"}) {
      fs::copy_file(shipped / file, made / file);
    }
    fs::copy_file(STEPCAST_SOURCE_DIR "/tests/parity/data/lora/loras/xl_peft.safetensors", made / "xl.safetensors");
    // Other bytes, the same layers: the last number is another.
    fs::copy_file(shipped / "emoji-line-art.safetensors", made / "second.safetensors");
    std::fstream second(made / "second.safetensors", std::ios::binary | std::ios::in | std::ios::out);
    second.seekp(-2, std::ios::end);
    second.write("\x11\x22", 2);
    return made;
  }());
  return folder;
}

std::vector<std::string> Flags() {
  const std::string base = testing::TempDir() + "stepcast_loras_" + std::to_string(getpid());
  std::ofstream(base + ".keys") << "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n";
  // Of one of the two, which take 1.44 MiB each in float32.
  std::ofstream(base + ".yaml") << "loras_budget: 2MiB\nresume: {key_file: " << base
                                << ".keys, min_checkpoint_every: 1}\n";
  return {"--config=" + base + ".yaml", "--loras_dir=" + Loras().string()};
}

class LorasTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new Server(Flags()); }
  static void TearDownTestSuite() { delete server_; }

  static v1::GenerateRequest Request(const std::vector<std::pair<std::string, double>>& loras, int64_t seed = 7) {
    v1::GenerateRequest request;
    request.set_prompt("a red apple");
    request.set_seed(seed);
    request.set_steps(4);
    for (const auto& [name, scale] : loras) {
      v1::LoraInput& lora = *request.add_loras();
      lora.set_name(name);
      lora.set_scale(scale);
    }
    return request;
  }
  static std::string Sha(const StreamResult& result) {
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    return result.images.size() == 1 ? result.images[0].sha256() : "none";
  }
  static std::string Paint(const std::vector<std::pair<std::string, double>>& loras) {
    return Sha(Generate(*server_, Request(loras)));
  }

  static inline Server* server_ = nullptr;
};

TEST_F(LorasTest, ALoraPaintsAnotherPictureAndZeroIsWithout) {
  const std::string plain = Paint({});
  const StreamResult with = Generate(*server_, Request({{kLineArt, 1.0}}));
  EXPECT_NE(Sha(with), plain);
  EXPECT_EQ(Paint({{kLineArt, 0.0}}), plain);
  EXPECT_NE(Paint({{kLineArt, -0.5}}), plain);
  ASSERT_EQ(with.accepted.request().loras_size(), 1);
  EXPECT_EQ(Sha(Generate(*server_, with.accepted.request())), Sha(with)) << "the echo paints the same";
}

TEST_F(LorasTest, TheyAreListed) {
  v1::ListAdaptersRequest request;
  request.set_kind(v1::ADAPTER_KIND_LORA);
  request.set_model("emoji");
  v1::ListAdaptersResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->NewStub()->ListAdapters(&context, request, &response).ok());
  ASSERT_EQ(response.adapters_size(), 2) << response.DebugString();
  const v1::Adapter& adapter = response.adapters(0);
  EXPECT_EQ(adapter.name(), kLineArt);
  EXPECT_EQ(adapter.rank(), 6);
  EXPECT_EQ(adapter.sha256().size(), 64u);
  EXPECT_EQ(adapter.display_name(), "Emoji line art");
  EXPECT_THAT(adapter.models(), testing::Contains("emoji"));
}

TEST_F(LorasTest, WhatCannotBeIsRefusedByName) {
  const grpc::Status unknown = Generate(*server_, Request({{"nothing", 1.0}})).status;
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(unknown.error_message(), AllOf(HasSubstr("nothing"), HasSubstr("emoji-line-art, second")));
  const grpc::Status foreign = Generate(*server_, Request({{"xl", 1.0}})).status;
  EXPECT_EQ(foreign.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(foreign.error_message(), AllOf(HasSubstr("loras[0].name"), HasSubstr("'emoji' is a ")));
  const grpc::Status twice = Generate(*server_, Request({{kLineArt, 1.0}, {kLineArt, 0.5}})).status;
  EXPECT_THAT(twice.error_message(), HasSubstr("loras[1].name"));
  const grpc::Status much = Generate(*server_, Request({{kLineArt, std::numeric_limits<double>::infinity()}})).status;
  EXPECT_THAT(much.error_message(), HasSubstr("loras[0].scale"));
}

// Two calls want two LoRAs of which one fits: whoever comes second waits in vain or later, and nobody's picture
// changes.
TEST_F(LorasTest, OneLeavesForAnotherAndNeverUnderAJob) {
  const std::string first = Paint({{kLineArt, 1.0}});
  const std::string second = Paint({{"second", 1.0}});
  v1::GenerateRequest slow = Request({{kLineArt, 1.0}});
  slow.set_steps(40);
  const std::string expected = Sha(Generate(*server_, slow));
  const auto stub = server_->NewStub();
  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, slow);
  v1::GenerateResponse response;
  ASSERT_TRUE(reader->Read(&response) && response.has_accepted());
  const grpc::Status refused = Generate(*server_, Request({{"second", 1.0}})).status;
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();
  std::string sha;
  while (reader->Read(&response)) {
    if (response.has_image_chunk() && !response.image_chunk().sha256().empty()) sha = response.image_chunk().sha256();
  }
  ASSERT_TRUE(reader->Finish().ok());
  EXPECT_EQ(sha, expected);
  EXPECT_EQ(Paint({{"second", 1.0}}), second);
  EXPECT_EQ(Paint({{kLineArt, 1.0}}), first);
  EXPECT_GE(server_->Metric("stepcast_loras_total{result=\"loaded\"}"), 2.0);
}

// Who has heard the end of a call may rely on its LoRA being free.
TEST_F(LorasTest, OneAfterTheOtherFindsRoom) {
  for (int i = 0; i < 12; ++i) {
    for (const char* name : {kLineArt, "second"}) {
      v1::GenerateRequest request = Request({{name, 1.0}});
      request.set_steps(1);
      const grpc::Status status = Generate(*server_, request).status;
      ASSERT_TRUE(status.ok()) << i << " " << name << ": " << status.error_message();
    }
  }
}

TEST_F(LorasTest, ACheckpointGoesOnWithItsLorasAndNotWithOthers) {
  v1::GenerateRequest request = Request({{kLineArt, 0.9}});
  request.set_steps(20);
  const std::string expected = Sha(Generate(*server_, request));
  request.set_checkpoint_every(5);
  const auto stub = server_->NewStub();
  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  std::string token;
  while (reader->Read(&response)) {
    if (response.has_checkpoint() && token.empty()) token = response.checkpoint().resume_token();
  }
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_FALSE(token.empty());
  request.clear_checkpoint_every();
  request.set_resume_token(token);
  EXPECT_EQ(Sha(Generate(*server_, request)), expected);
  request.mutable_loras(0)->set_scale(0.8);
  EXPECT_THAT(Generate(*server_, request).status.error_message(), HasSubstr("another request or picture"));
  request.mutable_loras(0)->set_scale(0.9);
  request.mutable_loras(0)->set_name("second");
  EXPECT_THAT(Generate(*server_, request).status.error_message(), HasSubstr("resume_token"));
}

TEST_F(LorasTest, TheCommandLinePaintsAPictureAgainFromItself) {
  const std::string path = testing::TempDir() + "stepcast_lora.png";
  const std::string again = testing::TempDir() + "stepcast_lora_again.png";
  const auto cli = [](std::vector<std::string> arguments) {
    std::vector<std::string> command = {BinaryPath("stepcast"), "--host", server_->address(), "generate"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProgram(command);
  };
  const ExitReport first = cli({"(a red) apple", "--syntax", "a1111", "--lora", "emoji-line-art:0.8", "--steps", "4",
                                "-o", path, "--embed-parameters"});
  ASSERT_EQ(first.code, 0) << first.output;
  const ExitReport second = cli({"--from", path, "-o", again, "--embed-parameters"});
  ASSERT_EQ(second.code, 0) << second.output;
  EXPECT_EQ(ReadFile(again), ReadFile(path));
  EXPECT_THAT(ReadFile(path), HasSubstr("emoji-line-art"));
  const ExitReport wrong = cli({"an apple", "--lora", "emoji-line-art:much"});
  EXPECT_NE(wrong.code, 0);
  EXPECT_THAT(wrong.output, HasSubstr("much"));
}

}  // namespace
}  // namespace stepcast::e2e

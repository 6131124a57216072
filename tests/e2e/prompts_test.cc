// Prompts of every syntax, with the real binary and the bundled model.

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/server_fixture.h"

namespace stepcast::e2e {
namespace {

namespace fs = std::filesystem;
namespace v1 = ::stepcast::v1;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const fs::path& Embeddings() {
  static const fs::path& folder = *new fs::path(fs::path(testing::TempDir()) / "prompts_embeddings");
  return folder;
}

void Copy(const std::string& fixture, const std::string& name) {
  // Renamed into place, so that the server sees all of it or nothing.
  fs::copy_file(fs::path(STEPCAST_SOURCE_DIR "/tests/parity/data/weighted") / fixture, Embeddings() / (name + ".tmp"),
                fs::copy_options::overwrite_existing);
  fs::rename(Embeddings() / (name + ".tmp"), Embeddings() / name);
}

class PromptsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fs::remove_all(Embeddings());
    fs::create_directories(Embeddings());
    Copy("emoji_wordy.safetensors", "wordy.safetensors");
    server_ = new Server({"--embeddings_dir", Embeddings().string()});
  }
  static void TearDownTestSuite() { delete server_; }

  static v1::GenerateRequest Request(const std::string& prompt, v1::PromptSyntax syntax) {
    v1::GenerateRequest request;
    request.set_prompt(prompt);
    request.set_prompt_syntax(syntax);
    request.set_seed(7);
    request.set_steps(4);
    return request;
  }
  static StreamResult Paint(const std::string& prompt, v1::PromptSyntax syntax = v1::PROMPT_SYNTAX_A1111) {
    return Generate(*server_, Request(prompt, syntax));
  }
  static std::string Sha(const StreamResult& result) {
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    return result.images.size() == 1 ? result.images[0].sha256() : "none";
  }

  static inline Server* server_ = nullptr;
};

TEST_F(PromptsTest, TextWithoutSyntaxPaintsTheSameBytesInAll) {
  const std::string plain = Sha(Paint("a red apple", v1::PROMPT_SYNTAX_PLAIN));
  EXPECT_EQ(Sha(Paint("a red apple", v1::PROMPT_SYNTAX_UNSPECIFIED)), plain);
  EXPECT_EQ(Sha(Paint("a red apple", v1::PROMPT_SYNTAX_A1111)), plain);
  EXPECT_EQ(Sha(Paint("a red apple", v1::PROMPT_SYNTAX_A1111_NO_NORM)), plain);
  EXPECT_EQ(Sha(Paint("a (red:1.0) \\(apple\\)")), Sha(Paint("a red (apple)", v1::PROMPT_SYNTAX_PLAIN)));
}

TEST_F(PromptsTest, WeightsChunksAndPartsPaintSomethingElse) {
  const std::string plain = Sha(Paint("a red apple"));
  const std::string weighted = Sha(Paint("a (red:1.5) apple"));
  EXPECT_NE(weighted, plain);
  EXPECT_NE(Sha(Paint("a (red:1.5) apple", v1::PROMPT_SYNTAX_A1111_NO_NORM)), weighted);
  const StreamResult broken = Paint("a red BREAK apple");
  EXPECT_NE(Sha(broken), plain);
  ASSERT_THAT(broken.accepted.prompts(), SizeIs(1));
  EXPECT_EQ(broken.accepted.prompts(0).field(), "prompt");
  EXPECT_EQ(broken.accepted.prompts(0).tokens(), 3);
  EXPECT_EQ(broken.accepted.prompts(0).chunks(), 2);
  const StreamResult both = Paint("a red apple AND a tree :0.5");
  EXPECT_NE(Sha(both), plain);
  EXPECT_THAT(both.accepted.warnings(), IsEmpty());
}

TEST_F(PromptsTest, TheEchoPaintsTheSameBytes) {
  v1::GenerateRequest request = Request("a (red:1.4) apple AND (a tree) :0.5, BREAK", v1::PROMPT_SYNTAX_A1111);
  request.set_negative_prompt("[blue] " + std::string(300, 'x') + std::string(" a, b") + " BREAK dark");
  request.set_clip_skip(1);
  const StreamResult first = Generate(*server_, request);
  EXPECT_EQ(first.accepted.request().prompt_syntax(), v1::PROMPT_SYNTAX_A1111);
  EXPECT_EQ(Sha(Generate(*server_, first.accepted.request())), Sha(first));
}

TEST_F(PromptsTest, WhatCannotBeReadIsRefusedWithItsPlace) {
  for (const char* prompt : {"a <lora:x:0.8>", "[a:b:0.5]", "(a:1.2.3)"}) {
    const StreamResult refused = Paint(prompt);
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << prompt;
    EXPECT_THAT(refused.status.error_message(), HasSubstr("byte offset")) << prompt;
    EXPECT_TRUE(Paint(prompt, v1::PROMPT_SYNTAX_PLAIN).status.ok()) << prompt;
  }
}

TEST_F(PromptsTest, ANameOfATextualInversionStandsForItsVectors) {
  const StreamResult named = Paint("a wordy apple");
  EXPECT_NE(Sha(named), Sha(Paint("a apple")));
  ASSERT_THAT(named.accepted.prompts(), SizeIs(1));
  EXPECT_EQ(named.accepted.prompts(0).tokens(), 5) << "three vectors";
  EXPECT_EQ(Sha(Paint("a <wordy> apple")), Sha(named));
  v1::ListAdaptersRequest request;
  request.set_kind(v1::ADAPTER_KIND_EMBEDDING);
  v1::ListAdaptersResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->NewStub()->ListAdapters(&context, request, &response).ok());
  ASSERT_GE(response.adapters_size(), 1);
  const v1::Adapter& adapter = response.adapters(response.adapters_size() - 1);
  EXPECT_EQ(adapter.name(), "wordy");
  EXPECT_EQ(adapter.tokens(), 3);
  EXPECT_EQ(adapter.sha256().size(), 64u);
  EXPECT_THAT(adapter.models(), testing::Contains("emoji"));
}

}  // namespace
}  // namespace stepcast::e2e

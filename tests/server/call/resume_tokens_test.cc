#include "server/call/resume_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "server/config/resume_config.h"
#include "server/request/errors/status_mapping.h"
#include "tests/support/simulated_clock.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

const std::string kKey(32, 'k');
const std::string kOther(32, 'o');

ResumeBinding Binding() {
  return {.picture = std::string(64, 'a'), .model = std::string(64, 'b'), .numerics = "fp32 cpu threads=2"};
}

JobSaved Saved(std::string state = "the state") {
  return {
      .evaluations_done = 7, .evaluations_total = 20, .state = std::make_shared<const std::string>(std::move(state))};
}

class ResumeTokensTest : public testing::Test {
 protected:
  ResumeTokens Tokens(std::vector<std::string> keys = {kKey}) const {
    return ResumeTokens({.keys = std::move(keys), .ttl = absl::Hours(1), .max_bytes = 4096}, clock_);
  }
  void ExpectRefused(const std::string& token, const ResumeBinding& binding, const char* why) const {
    const absl::Status status = Tokens().Read(token, binding).status();
    EXPECT_EQ(ReasonOf(status), "RESUME_TOKEN_INVALID") << why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
  SimulatedClock clock_;
};

TEST_F(ResumeTokensTest, WhatIsIssuedIsRead) {
  const std::string token = Tokens().Issue(Binding(), Saved());
  const absl::StatusOr<ResumePoint> point = Tokens().Read(token, Binding());
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_EQ(point->evaluations, 7);
  EXPECT_EQ(point->state, "the state");
}

TEST_F(ResumeTokensTest, NoByteCanBeChangedCutOrAdded) {
  const std::string token = Tokens().Issue(Binding(), Saved());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string forged = token;
    forged[i] = static_cast<char>(forged[i] ^ 1);
    EXPECT_EQ(ReasonOf(Tokens().Read(forged, Binding()).status()), "RESUME_TOKEN_INVALID") << i;
    EXPECT_EQ(ReasonOf(Tokens().Read(token.substr(0, i), Binding()).status()), "RESUME_TOKEN_INVALID") << i;
  }
  ExpectRefused(token + "x", Binding(), "damaged");
  ExpectRefused("", Binding(), "damaged");
  ExpectRefused(std::string(5000, 'x'), Binding(), "damaged");
}

TEST_F(ResumeTokensTest, ATokenIsGoodForOnePictureModelAndArithmetic) {
  const std::string token = Tokens().Issue(Binding(), Saved());
  ResumeBinding other = Binding();
  other.picture = std::string(64, 'c');
  ExpectRefused(token, other, "another request or picture");
  other = Binding();
  other.model = std::string(64, 'c');
  ExpectRefused(token, other, "another model");
  other = Binding();
  other.numerics = "fp32 cpu threads=4";
  ExpectRefused(token, other, "arithmetic");
}

TEST_F(ResumeTokensTest, TokensExpire) {
  const std::string token = Tokens().Issue(Binding(), Saved());
  clock_.Advance(absl::Minutes(59));
  EXPECT_TRUE(Tokens().Read(token, Binding()).ok());
  clock_.Advance(absl::Minutes(1));
  ExpectRefused(token, Binding(), "expired");
}

TEST_F(ResumeTokensTest, KeysRotate) {
  const std::string old_token = Tokens({kOther}).Issue(Binding(), Saved());
  EXPECT_EQ(ReasonOf(Tokens().Read(old_token, Binding()).status()), "RESUME_TOKEN_INVALID");
  EXPECT_TRUE(Tokens({kKey, kOther}).Read(old_token, Binding()).ok())
      << "a key that no longer signs is still good for reading";
  EXPECT_TRUE(Tokens().Read(Tokens({kKey, kOther}).Issue(Binding(), Saved()), Binding()).ok()) << "the first signs";
}

TEST_F(ResumeTokensTest, NothingAndTooMuchGetNoToken) {
  EXPECT_EQ(Tokens().Issue(Binding(), JobSaved()), "");
  EXPECT_EQ(Tokens().Issue(Binding(), Saved(std::string(4096, 'x'))), "");
  const size_t room = 4096 - Tokens().Issue(Binding(), Saved("")).size();
  EXPECT_EQ(Tokens().Issue(Binding(), Saved(std::string(room, 'x'))).size(), 4096u);
  EXPECT_EQ(Tokens().Issue(Binding(), Saved(std::string(room + 1, 'x'))), "");
}

GenerationRequest RequestOf(const std::vector<std::string>& inversions, const std::vector<std::string>& negative,
                            const std::string& net_dtype) {
  const auto used = [](const std::vector<std::string>& files) {
    PromptTokens tokens;
    for (const std::string& sha256 : files) {
      const auto file = std::make_shared<TextualInversion>();
      file->sha256 = sha256;
      tokens.inversions.push_back({file});
    }
    return tokens;
  };
  ControlNetInfo net;
  net.id = "edges";
  net.sha256 = "n";
  net.dtype = net_dtype;
  ModelInfo model;
  model.sha256 = "m";
  model.control_nets = {net};
  GenerationRequest request;
  request.model = std::make_shared<const ModelInfo>(std::move(model));
  request.prompt_parts = {{.tokens = used(inversions)}};
  request.negative_tokens = used(negative);
  request.control = {{.model = "edges"}};
  return request;
}

TEST(ResumeBindingTest, VectorsBehindWordsAndTypesOfNetsCount) {
  const auto binding = [](const GenerationRequest& request) { return BindingOf(request, "cpu"); };
  const ResumeBinding plain = binding(RequestOf({"a"}, {}, "fp32"));
  EXPECT_EQ(plain.model, binding(RequestOf({"a"}, {}, "fp32")).model);
  EXPECT_NE(plain.model, binding(RequestOf({"b"}, {}, "fp32")).model);  // another file of the name
  EXPECT_NE(plain.model, binding(RequestOf({}, {}, "fp32")).model);     // the name is a word by now
  EXPECT_NE(plain.model, binding(RequestOf({}, {"a"}, "fp32")).model);
  EXPECT_EQ(plain.numerics, binding(RequestOf({"b"}, {}, "fp32")).numerics);
  EXPECT_NE(plain.numerics, binding(RequestOf({"a"}, {}, "bf16")).numerics);
}

TEST(PictureDigestTest, WhatDecidesThePictureCountsAndNothingElse) {
  v1::GenerateRequest request;
  request.set_prompt("a red apple");
  request.set_seed(7);
  request.set_image_count(3);
  request.set_steps(20);
  v1::GenerateRequest same = request;
  same.set_seed(9);
  same.set_image_count(1);
  same.mutable_output()->set_format(v1::IMAGE_FORMAT_JPEG);
  same.mutable_preview()->set_every_n_steps(2);
  same.set_priority(v1::PRIORITY_BATCH);
  same.set_resume_token("token");
  same.set_checkpoint_every(8);
  EXPECT_EQ(PictureDigest(request, 2), PictureDigest(same, 0));
  EXPECT_NE(PictureDigest(request, 1), PictureDigest(same, 0)) << "another seed";
  v1::GenerateRequest other = same;
  other.set_steps(21);
  EXPECT_NE(PictureDigest(other, 0), PictureDigest(same, 0));
  other = same;
  other.set_prompt("a red apple ");
  EXPECT_NE(PictureDigest(other, 0), PictureDigest(same, 0));
}

TEST(ResumeBindingTest, FilesOfLorasAreWeightsToo) {
  auto model = std::make_shared<ModelInfo>();
  model->sha256 = std::string(64, 'a');
  GenerationRequest request;
  request.model = model;
  const std::string plain = BindingOf(request, "cpu").model;
  request.loras = {{.name = "style", .sha256 = std::string(64, 'b')}};
  const std::string with = BindingOf(request, "cpu").model;
  EXPECT_NE(with, plain);
  request.loras[0].sha256 = std::string(64, 'c');
  EXPECT_NE(BindingOf(request, "cpu").model, with) << "another file of that name";
}

TEST(ResumeKeysTest, ReadsALineOfBase64PerKey) {
  const std::string path = testing::TempDir() + "resume.keys";
  const auto read = [&](const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
    return ReadResumeKeys(path);
  };
  const std::string line = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
  EXPECT_EQ(*read("# the old one last\n" + line + "  # new\n\n" + line + "\n"), (std::vector<std::string>{kKey, kKey}));
  EXPECT_THAT(std::string(read("").status().message()), HasSubstr("got 0 keys; allowed: 1..16"));
  EXPECT_THAT(std::string(read(line + "\nc2hvcnQ=\n").status().message()), HasSubstr(":2: allowed: base64"));
  EXPECT_THAT(std::string(read("no base64!\n").status().message()), HasSubstr(":1: allowed: base64"));
  EXPECT_EQ(ReadResumeKeys("/nonexistent").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace stepcast

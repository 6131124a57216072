// Our whole path (tokenizer, text encoder, sampler, denoiser, decoder) against pictures that diffusers painted with
// the same weights: tools/parity/make_pipeline_fixtures.py.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/parity/painter.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {
namespace {

using nlohmann::json;

std::string DataDir() { return std::string(STEPCAST_SOURCE_DIR) + "/tests/parity/data"; }

class PipelineParityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    manifest_ = json::parse(ReadFile(DataDir() + "/requests.json"), nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(manifest_.is_discarded()) << "tests/parity/data/requests.json cannot be read";
    painter_ = std::make_unique<Painter>(STEPCAST_SOURCE_DIR "/models/emoji", manifest_);
    ASSERT_FALSE(HasFailure());
    auto tokenizer = ClipTokenizer::Load(painter_->model()->tokenizer_dirs.at(0));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  std::unique_ptr<Job> MakeJob(const json& wanted) const {
    auto request = std::make_shared<GenerationRequest>();
    request->prompt_parts = {{.tokens = {.ids = {tokenizer_->Encode(wanted["prompt"].get<std::string>()).ids}}}};
    request->negative_tokens = {.ids = {tokenizer_->Encode(wanted["negative_prompt"].get<std::string>()).ids}};
    request->clip_skip = wanted["clip_skip"];
    return painter_->MakeJob(wanted, std::move(request));
  }

  static std::string PathOf(const json& wanted) { return DataDir() + "/" + wanted["name"].get<std::string>() + ".png"; }

  json manifest_;
  std::unique_ptr<Painter> painter_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
};

TEST_F(PipelineParityTest, EveryRequestAloneEqualsDiffusers) {
  ASSERT_GE(manifest_["requests"].size(), 12u);
  for (const json& wanted : manifest_["requests"]) {
    const std::unique_ptr<Job> job = MakeJob(wanted);
    ExpectEqualToReference(PathOf(wanted), painter_->Paint({job.get()}).front());
  }
}

TEST_F(PipelineParityTest, AllRequestsOfOneSizeTogetherEqualDiffusers) {
  std::map<std::pair<int, int>, std::vector<const json*>> by_size;
  for (const json& wanted : manifest_["requests"]) by_size[{wanted["width"], wanted["height"]}].push_back(&wanted);
  for (const auto& [size, requests] : by_size) {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Job*> pointers;
    for (const json* wanted : requests) {
      jobs.push_back(MakeJob(*wanted));
      pointers.push_back(jobs.back().get());
    }
    const std::vector<SharedImage> images = painter_->Paint(pointers);
    for (size_t i = 0; i < requests.size(); ++i) ExpectEqualToReference(PathOf(*requests[i]), images[i]);
  }
}

}  // namespace
}  // namespace stepcast

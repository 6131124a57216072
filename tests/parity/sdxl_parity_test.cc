// Models that are told more than a prompt (SDXL, its refiner, latent consistency models) against latents and pictures
// that diffusers' pipelines made with the same weights: tools/parity/make_sdxl_fixtures.py.

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/parity/atelier.h"
#include "tests/parity/painter.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/sdxl";

std::unique_ptr<Job> MakeJob(Atelier& atelier, const json& wanted) {
  auto request = std::make_shared<GenerationRequest>();
  request->prompt_parts = {{.tokens = {.ids = atelier.Ids(wanted["prompt"], wanted["prompt_2"])}}};
  request->negative_prompt_given = !wanted["negative_prompt"].is_null();
  const std::string negative = request->negative_prompt_given ? wanted["negative_prompt"].get<std::string>() : "";
  request->negative_tokens = {.ids = atelier.Ids(negative, wanted["negative_prompt_2"])};
  request->clip_skip = wanted["clip_skip"];
  const json& sizes = wanted["sizes"];
  request->sizes = {.original_width = sizes.value("original_width", wanted["width"].get<int>()),
                    .original_height = sizes.value("original_height", wanted["height"].get<int>()),
                    .crop_left = sizes.value("crop_left", 0),
                    .crop_top = sizes.value("crop_top", 0),
                    .target_width = sizes.value("target_width", wanted["width"].get<int>()),
                    .target_height = sizes.value("target_height", wanted["height"].get<int>()),
                    .aesthetic_score = sizes.value("aesthetic_score", 6.0),
                    .negative_aesthetic_score = sizes.value("negative_aesthetic_score", 2.5)};
  return atelier.painter().MakeJob(wanted, std::move(request));
}

class SdxlParityTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    manifest_ = json::parse(ReadFile(std::string(kData) + "/requests.json"), nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(manifest_.is_discarded()) << "tests/parity/data/sdxl/requests.json cannot be read";
    ASSERT_GE(manifest_["requests"].size(), 20u);
    latents_ = ReadLatents(kData, manifest_["requests"]);
    for (const json& wanted : manifest_["requests"]) {
      if (!ateliers_.contains(wanted["variant"])) {
        const std::string variant = wanted["variant"];
        ateliers_.emplace(variant, std::make_unique<Atelier>("sdxl_" + variant, kData, manifest_["variants"][variant]));
      }
      ASSERT_FALSE(HasFailure());
    }
  }
  static void TearDownTestSuite() {
    ateliers_.clear();
    latents_.clear();
  }

  static void ExpectLikeReference(const json& wanted, const Job& job, const SharedImage& image) {
    ExpectLatentsLike(latents_.at(wanted["name"]), job, wanted.dump());
    ExpectEqualToReference(std::string(kData) + "/" + wanted["name"].get<std::string>() + ".png", image);
  }

  static inline json manifest_;
  static inline std::map<std::string, at::Tensor> latents_;
  static inline std::map<std::string, std::unique_ptr<Atelier>> ateliers_;
};

TEST_F(SdxlParityTest, EveryRequestAloneEqualsDiffusers) {
  for (const json& wanted : manifest_["requests"]) {
    Atelier& atelier = *ateliers_.at(wanted["variant"]);
    const std::unique_ptr<Job> job = MakeJob(atelier, wanted);
    const SharedImage image = atelier.painter().Paint({job.get()}).front();
    ExpectLikeReference(wanted, *job, image);
  }
}

// What rows differ in here, prompts, sizes, zeros and scores, must stay theirs.
TEST_F(SdxlParityTest, AllRequestsOfOneModelAndSizeTogetherEqualDiffusers) {
  for (const std::vector<const json*>& requests : GroupsOf(manifest_["requests"], "variant")) {
    Atelier& atelier = *ateliers_.at((*requests.front())["variant"]);
    std::vector<std::unique_ptr<Job>> jobs;
    for (const json* wanted : requests) jobs.push_back(MakeJob(atelier, *wanted));
    const std::vector<SharedImage> images = PaintTogether(atelier.painter(), jobs);
    for (size_t i = 0; i < requests.size(); ++i) ExpectLikeReference(*requests[i], *jobs[i], images[i]);
  }
}

}  // namespace
}  // namespace stepcast

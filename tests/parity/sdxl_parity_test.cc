// Models that are told more than a prompt (SDXL, its refiner, latent consistency models) against latents and pictures
// that diffusers' pipelines made with the same weights: tools/parity/make_sdxl_fixtures.py.

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/parity/atelier.h"
#include "tests/parity/painter.h"
#include "tests/parity/reference_suite.h"

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
  if (sizes.contains("negative_original_width")) {
    request->sizes.negative = NegativeSizes{.original_width = sizes["negative_original_width"],
                                            .original_height = sizes["negative_original_height"],
                                            .crop_left = sizes.value("negative_crop_left", 0),
                                            .crop_top = sizes.value("negative_crop_top", 0),
                                            .target_width = sizes["negative_target_width"],
                                            .target_height = sizes["negative_target_height"]};
  }
  return atelier.painter().MakeJob(wanted, std::move(request));
}

class SdxlParityTest : public ReferenceSuite {
 protected:
  static void SetUpTestSuite() {
    ReadRequests(kData, 20);
    if (HasFatalFailure()) return;
    for (const json& wanted : manifest_["requests"]) {
      if (!ateliers_.contains(wanted["variant"])) {
        const std::string variant = wanted["variant"];
        ateliers_.emplace(variant, std::make_unique<Atelier>("sdxl_" + variant, kData, manifest_["variants"][variant]));
      }
      ASSERT_FALSE(HasFailure());
    }
  }
};

TEST_F(SdxlParityTest, EveryRequestAloneEqualsDiffusers) { ExpectEachAlone("variant", &MakeJob); }

// What rows differ in here, prompts, sizes, zeros and scores, must stay theirs.
TEST_F(SdxlParityTest, AllRequestsOfOneModelAndSizeTogetherEqualDiffusers) { ExpectTogether("variant", &MakeJob); }

}  // namespace
}  // namespace stepcast

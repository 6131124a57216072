// Requests that come with pictures against latents and pictures of diffusers, and of loops written from the formulas of
// A1111, ComfyUI and differential diffusion: tools/parity/make_picture_fixtures.py.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "codec/files/image_codec.h"
#include "core/sha256.h"
#include "tests/parity/atelier.h"
#include "tests/parity/painter.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kRoot[] = STEPCAST_SOURCE_DIR "/tests/parity/data";
constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/pictures";

SharedImage ReadPicture(const std::string& file) {
  absl::StatusOr<Image> image = DecodeImage(ReadFile(absl::StrCat(kData, "/", file)), DecodeLimits{});
  EXPECT_TRUE(image.ok()) << file << ": " << image.status();
  return image.ok() ? std::make_shared<const Image>(*std::move(image)) : nullptr;
}

SharedMask ReadMask(const std::string& file) {
  const SharedImage grey = ReadPicture(file);
  auto mask = std::make_shared<Mask>(Mask{.width = grey->width, .height = grey->height});
  for (size_t i = 0; i < grey->pixels.size(); i += 3) mask->values.push_back(grey->pixels[i]);
  return mask;
}

std::unique_ptr<Job> MakeJob(Atelier& atelier, const json& wanted) {
  auto request = std::make_shared<GenerationRequest>();
  request->model = atelier.painter().model();
  request->prompt_parts = {{.tokens = {.ids = atelier.Ids(wanted["prompt"])}}};
  request->negative_prompt_given = true;
  request->negative_tokens = {.ids = atelier.Ids(wanted["negative_prompt"])};
  request->sizes = {.original_width = wanted["width"],
                    .original_height = wanted["height"],
                    .target_width = wanted["width"],
                    .target_height = wanted["height"]};
  const std::string file = wanted["picture_file"];
  request->init_image = {.image = ReadPicture(file), .sha256 = Sha256Hex(ReadFile(absl::StrCat(kData, "/", file)))};
  request->strength = wanted["strength"];
  request->image_guidance_scale = wanted["image_guidance_scale"];
  request->invert = wanted["kind"] == "invert";
  if (!wanted["mask"].is_null()) {
    const bool noise = wanted["fill"] == "NOISE", x0 = wanted["blend_domain"] == "X0";
    request->inpainting = Inpainting{.mask = ReadMask(wanted["mask_file"]),
                                     .fill = noise ? InpaintFill::kNoise : InpaintFill::kOriginal,
                                     .blend_domain = x0 ? BlendDomain::kX0 : BlendDomain::kLatents,
                                     .differential = wanted["differential"]};
  }
  return atelier.painter().MakeJob(wanted, std::move(request));
}

class PictureParityTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    manifest_ = json::parse(ReadFile(std::string(kData) + "/requests.json"), nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(manifest_.is_discarded()) << "tests/parity/data/pictures/requests.json cannot be read";
    ASSERT_GE(manifest_["requests"].size(), 60u);
    latents_ = ReadLatents(kData, manifest_["requests"]);
    for (const auto& [name, variant] : manifest_["variants"].items()) {
      ateliers_.emplace(name, std::make_unique<Atelier>("pictures_" + name, kRoot, variant));
    }
  }
  static void TearDownTestSuite() {
    ateliers_.clear();
    latents_.clear();
  }

  static void ExpectLikeReference(const json& wanted, const Job& job, const SharedImage& image) {
    ExpectLatentsLike(latents_.at(wanted["name"]), job, wanted.dump());
    ExpectEqualToReference(absl::StrCat(kData, "/", wanted["name"].get<std::string>(), ".png"), image);
  }

  static inline json manifest_;
  static inline std::map<std::string, at::Tensor> latents_;
  static inline std::map<std::string, std::unique_ptr<Atelier>> ateliers_;
};

TEST_F(PictureParityTest, EveryRequestAloneEqualsTheReference) {
  for (const json& wanted : manifest_["requests"]) {
    Atelier& atelier = *ateliers_.at(wanted["variant"]);
    const std::unique_ptr<Job> job = MakeJob(atelier, wanted);
    const SharedImage image = atelier.painter().Paint({job.get()}).front();
    ExpectLikeReference(wanted, *job, image);
  }
}

// Pictures, masks, starts and blends of neighbours must stay theirs.
TEST_F(PictureParityTest, AllRequestsOfOneModelAndSizeTogetherEqualTheReference) {
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

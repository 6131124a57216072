#include "tests/parity/reference_suite.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "codec/files/image_codec.h"
#include "tests/parity/painter.h"

namespace stepcast {

using nlohmann::json;

SharedImage ReadPicture(const std::string& path) {
  absl::StatusOr<Image> image = DecodeImage(ReadFile(path), DecodeLimits{});
  EXPECT_TRUE(image.ok()) << path << ": " << image.status();
  return image.ok() ? std::make_shared<const Image>(*std::move(image)) : nullptr;
}

SharedMask ReadMask(const std::string& path) {
  const SharedImage grey = ReadPicture(path);
  auto mask = std::make_shared<Mask>(Mask{.width = grey->width, .height = grey->height});
  for (size_t i = 0; i < grey->pixels.size(); i += 3) mask->values.push_back(grey->pixels[i]);
  return mask;
}

std::shared_ptr<GenerationRequest> PromptedRequest(Atelier& atelier, const json& wanted) {
  auto request = std::make_shared<GenerationRequest>();
  request->model = atelier.painter().model();
  request->prompt_parts = {{.tokens = {.ids = atelier.Ids(wanted["prompt"])}}};
  request->negative_prompt_given = true;
  request->negative_tokens = {.ids = atelier.Ids(wanted["negative_prompt"])};
  request->sizes = {.original_width = wanted["width"],
                    .original_height = wanted["height"],
                    .target_width = wanted["width"],
                    .target_height = wanted["height"]};
  return request;
}

void ReferenceSuite::ReadRequests(const std::string& folder, size_t least) {
  folder_ = folder;
  manifest_ = json::parse(ReadFile(absl::StrCat(folder, "/requests.json")), nullptr, /*allow_exceptions=*/false);
  ASSERT_FALSE(manifest_.is_discarded()) << folder << "/requests.json cannot be read";
  ASSERT_GE(manifest_["requests"].size(), least);
  latents_ = ReadLatents(folder, manifest_["requests"]);
}

void ReferenceSuite::TearDownTestSuite() {
  ateliers_.clear();
  latents_.clear();
}

void ReferenceSuite::ExpectLikeReference(const json& wanted, const Job& job, const SharedImage& image) {
  ExpectLatentsLike(latents_.at(wanted["name"]), job, wanted.dump());
  ExpectEqualToReference(absl::StrCat(folder_, "/", wanted["name"].get<std::string>(), ".png"), image);
}

void ReferenceSuite::ExpectEachAlone(const std::string& model_key, Maker make) {
  for (const json& wanted : manifest_["requests"]) {
    Atelier& atelier = *ateliers_.at(wanted[model_key]);
    const std::unique_ptr<Job> job = make(atelier, wanted);
    const SharedImage image = atelier.painter().Paint({job.get()}).front();
    ExpectLikeReference(wanted, *job, image);
  }
}

void ReferenceSuite::ExpectTogether(const std::string& model_key, Maker make) {
  for (const std::vector<const json*>& requests : GroupsOf(manifest_["requests"], model_key)) {
    Atelier& atelier = *ateliers_.at((*requests.front())[model_key]);
    std::vector<std::unique_ptr<Job>> jobs;
    for (const json* wanted : requests) jobs.push_back(make(atelier, *wanted));
    const std::vector<SharedImage> images = PaintTogether(atelier.painter(), jobs);
    for (size_t i = 0; i < requests.size(); ++i) ExpectLikeReference(*requests[i], *jobs[i], images[i]);
  }
}

}  // namespace stepcast

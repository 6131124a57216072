// Requests that come with pictures against latents and pictures of diffusers, and of loops written from the formulas of
// A1111, ComfyUI and differential diffusion: tools/parity/make_picture_fixtures.py.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "tests/parity/atelier.h"
#include "tests/parity/painter.h"
#include "tests/parity/reference_suite.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kRoot[] = STEPCAST_SOURCE_DIR "/tests/parity/data";
constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/pictures";

std::string PathOf(const std::string& file) { return absl::StrCat(kData, "/", file); }

std::unique_ptr<Job> MakeJob(Atelier& atelier, const json& wanted) {
  const std::shared_ptr<GenerationRequest> request = PromptedRequest(atelier, wanted);
  if (wanted["kind"] == "text") return atelier.painter().MakeJob(wanted, request);
  const std::string file = wanted["picture_file"];
  request->init_image = {.image = ReadPicture(PathOf(file)), .sha256 = Sha256Hex(ReadFile(PathOf(file)))};
  request->strength = wanted["strength"];
  request->image_guidance_scale = wanted["image_guidance_scale"];
  request->invert = wanted["kind"] == "invert";
  if (!wanted["mask"].is_null()) {
    const bool noise = wanted["fill"] == "NOISE", x0 = wanted["blend_domain"] == "X0";
    request->inpainting = Inpainting{.mask = ReadMask(PathOf(wanted["mask_file"])),
                                     .fill = noise ? InpaintFill::kNoise : InpaintFill::kOriginal,
                                     .blend_domain = x0 ? BlendDomain::kX0 : BlendDomain::kLatents,
                                     .differential = wanted["differential"]};
  }
  return atelier.painter().MakeJob(wanted, request);
}

class PictureParityTest : public ReferenceSuite {
 protected:
  static void SetUpTestSuite() {
    ReadRequests(kData, 60);
    if (HasFatalFailure()) return;
    for (const auto& [name, variant] : manifest_["variants"].items()) {
      ateliers_.emplace(name, std::make_unique<Atelier>("pictures_" + name, kRoot, variant));
    }
  }
};

TEST_F(PictureParityTest, EveryRequestAloneEqualsTheReference) { ExpectEachAlone("variant", &MakeJob); }

// Pictures, masks, starts and blends of neighbours must stay theirs.
TEST_F(PictureParityTest, AllRequestsOfOneModelAndSizeTogetherEqualTheReference) {
  ExpectTogether("variant", &MakeJob);
}

}  // namespace
}  // namespace stepcast

// Requests with ControlNets against latents and pictures that diffusers' pipelines made with the same weights:
// tools/parity/make_control_fixtures.py.

#include <ATen/TensorOperators.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/parity/atelier.h"
#include "tests/parity/painter.h"
#include "tests/parity/reference_suite.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/control";

std::string PathOf(const std::string& file) { return absl::StrCat(kData, "/", file); }

// The picture that is begun with, and what of it is repainted.
void AddPictures(const json& wanted, GenerationRequest& request) {
  if (wanted["kind"] == "text") return;
  const std::string file = wanted["picture_file"];
  request.init_image = {.image = ReadPicture(PathOf(file)), .sha256 = file};
  request.strength = wanted["strength"];
  if (wanted["kind"] != "inpaint") return;
  request.inpainting = Inpainting{.mask = ReadMask(PathOf(wanted["mask_file"]))};
}

std::unique_ptr<Job> MakeJob(Atelier& atelier, const json& wanted) {
  const std::shared_ptr<GenerationRequest> request = PromptedRequest(atelier, wanted);
  for (const json& each : wanted["control"]) {
    ControlInput control{.model = each["model"],
                         .image = HintPicture(each["hint"], wanted["width"], wanted["height"]),
                         .scale = each["scale"],
                         .start = each["start"],
                         .end = each["end"],
                         .guess_mode = each["guess"]};
    if (!each["control_type"].is_null()) control.control_type = each["control_type"].get<int>();
    request->control.push_back(std::move(control));
  }
  AddPictures(wanted, *request);
  return atelier.painter().MakeJob(wanted, request);
}

class ControlParityTest : public ReferenceSuite {
 protected:
  static void SetUpTestSuite() {
    ReadRequests(kData, 20);
    if (HasFatalFailure()) return;
    std::vector<ControlNetSource> nets;
    for (const char* id : {"plain", "bgr", "pooled", "xl", "union"}) {
      nets.push_back({.id = id, .path = absl::StrCat(kData, "/", id)});
    }
    for (const auto& [name, model] : manifest_["models"].items()) {
      ateliers_.emplace(name, std::make_unique<Atelier>("control_" + name, kData, model, nets));
    }
  }
};

TEST_F(ControlParityTest, EachModelIsToldTheNetsThatGoWithIt) {
  const std::map<std::string, std::vector<std::string>> expected = {{"sd", {"plain", "bgr", "pooled"}},
                                                                    {"xl", {"xl", "union"}}};
  for (const auto& [name, ids] : expected) {
    std::vector<std::string> told;
    for (const ControlNetInfo& net : ateliers_.at(name)->painter().model()->control_nets) told.push_back(net.id);
    EXPECT_EQ(told, ids) << name;
  }
}

TEST_F(ControlParityTest, EveryRequestAloneEqualsDiffusers) { ExpectEachAlone("family", &MakeJob); }

// Hints, scales, windows and guesses of neighbours must stay theirs, and who has no net must stay without.
TEST_F(ControlParityTest, AllRequestsOfOneModelAndSizeTogetherEqualDiffusers) {
  for (const std::vector<const json*>& requests : GroupsOf(manifest_["requests"], "family")) {
    Atelier& atelier = *ateliers_.at((*requests.front())["family"]);
    json plain = *requests.front();
    plain["control"] = json::array();
    const std::unique_ptr<Job> alone = MakeJob(atelier, plain);
    const SharedImage alone_image = atelier.painter().Paint({alone.get()}).front();
    std::vector<std::unique_ptr<Job>> jobs;
    for (const json* wanted : requests) jobs.push_back(MakeJob(atelier, *wanted));
    jobs.push_back(MakeJob(atelier, plain));
    const std::vector<SharedImage> images = PaintTogether(atelier.painter(), jobs);
    for (size_t i = 0; i < requests.size(); ++i) ExpectLikeReference(*requests[i], *jobs[i], images[i]);
    ExpectLatentsLike(Painter::LatentsOf(*alone), *jobs.back(), "a picture without control");
    const at::Tensor controlled = Painter::LatentsOf(*jobs.front());
    EXPECT_GT((controlled - Painter::LatentsOf(*alone)).abs().max().item<double>(), 0.01) << "the net adds nothing";
  }
}

TEST_F(ControlParityTest, ANetOfAnotherFamilyOrNoneIsRefused) {
  json wanted = manifest_["requests"].front();
  for (const char* net : {"xl", "nothing"}) {
    wanted["control"][0]["model"] = net;
    const std::unique_ptr<Job> job = MakeJob(*ateliers_.at("sd"), wanted);
    EXPECT_FALSE(ateliers_.at("sd")->painter().Start(*job).ok()) << net;
  }
}

}  // namespace
}  // namespace stepcast

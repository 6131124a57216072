// Requests with LoRAs against latents that diffusers' pipelines made with the same weights:
// tools/parity/make_lora_fixtures.py.

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
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
#include "tests/support/shifted_lora.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/lora";
constexpr char kNet[] = STEPCAST_SOURCE_DIR "/tests/parity/data/control/plain";

std::string PathOf(const std::string& lora) { return absl::StrCat(kData, "/loras/", lora, ".safetensors"); }

class LoraParityTest : public ReferenceSuite {
 protected:
  static void SetUpTestSuite() {
    ReadRequests(kData, 17);
    if (HasFatalFailure()) return;
    for (const auto& [name, model] : manifest_["models"].items()) {
      std::vector<ControlNetSource> nets;
      if (name == "sd") nets.push_back({.id = "plain", .path = kNet});
      ateliers_.emplace(name, std::make_unique<Atelier>("lora_" + name, kData, model, std::move(nets)));
    }
    for (const json& wanted : manifest_["requests"]) {
      for (const json& each : wanted["loras"]) Load(wanted["family"], each["name"], PathOf(each["name"]));
    }
  }
  static void TearDownTestSuite() {
    ReferenceSuite::TearDownTestSuite();
    loras_.clear();
  }

  static void Load(const std::string& family, const std::string& name, const std::string& path) {
    if (!loras_.contains(name)) loras_[name] = ateliers_.at(family)->painter().Load(name, path);
  }

  static std::unique_ptr<Job> MakeJob(Atelier& atelier, const json& wanted) {
    const std::shared_ptr<GenerationRequest> request = PromptedRequest(atelier, wanted);
    for (const json& each : wanted["loras"]) {
      LoraInput lora = loras_.at(each["name"]);
      lora.scale = each["scale"];
      lora.text_scale = each["text_scale"];
      request->loras.push_back(std::move(lora));
    }
    if (wanted.contains("control")) {
      const int width = wanted["width"];
      const int height = wanted["height"];
      Image hint{.width = width, .height = height, .pixels = {}};
      for (int i = 0; i < width * height * 3; ++i) hint.pixels.push_back(static_cast<uint8_t>(i * 37 % 256));
      request->control.push_back({.model = "plain",
                                  .image = {.image = std::make_shared<Image>(std::move(hint)), .sha256 = "hint"},
                                  .scale = wanted["control"]});
    }
    return atelier.painter().MakeJob(wanted, request);
  }

  static json WithLora(json wanted, const std::string& name, double scale) {
    wanted["loras"] = json::array({{{"name", name}, {"scale", scale}, {"text_scale", scale}}});
    return wanted;
  }
  static json Plain(json wanted) {
    wanted["loras"] = json::array();
    return wanted;
  }

  static at::Tensor PaintedAlone(const json& wanted) {
    Atelier& atelier = *ateliers_.at(wanted["family"]);
    const std::unique_ptr<Job> job = MakeJob(atelier, wanted);
    atelier.painter().Paint({job.get()});
    return Painter::LatentsOf(*job);
  }

  // All of `requests`, of one model and size, in one forward.
  static std::vector<std::unique_ptr<Job>> PaintedTogether(const std::vector<json>& requests) {
    Atelier& atelier = *ateliers_.at(requests.front()["family"]);
    std::vector<std::unique_ptr<Job>> jobs;
    for (const json& wanted : requests) jobs.push_back(MakeJob(atelier, wanted));
    PaintTogether(atelier.painter(), jobs);
    return jobs;
  }

  static inline std::map<std::string, LoraInput> loras_;
};

double Apart(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST_F(LoraParityTest, EveryRequestAloneEqualsDiffusers) {
  for (const json& wanted : manifest_["requests"]) {
    Atelier& atelier = *ateliers_.at(wanted["family"]);
    const std::unique_ptr<Job> job = MakeJob(atelier, wanted);
    atelier.painter().Paint({job.get()});
    ExpectLatentsLike(latents_.at(wanted["name"]), *job, wanted.dump());
  }
}

TEST_F(LoraParityTest, AStrengthOfZeroIsThePlainPictureToTheBit) {
  json wanted = manifest_["requests"].front();
  const at::Tensor plain = PaintedAlone(Plain(wanted));
  EXPECT_GT(Apart(PaintedAlone(wanted), plain), 0.01) << "the LoRA adds nothing";
  wanted["loras"][0]["scale"] = wanted["loras"][0]["text_scale"] = 0.0;
  EXPECT_TRUE(at::equal(PaintedAlone(wanted), plain));
}

// LoRAs and strengths of neighbours must stay theirs, and who has none must stay without.
TEST_F(LoraParityTest, AllRequestsOfOneModelAndSizeTogetherEqualDiffusers) {
  for (const std::vector<const json*>& requests : GroupsOf(manifest_["requests"], "family")) {
    std::vector<json> all;
    for (const json* wanted : requests) all.push_back(*wanted);
    all.push_back(Plain(all.front()));
    const at::Tensor alone = PaintedAlone(all.back());
    const std::vector<std::unique_ptr<Job>> jobs = PaintedTogether(all);
    for (size_t i = 0; i < requests.size(); ++i) {
      ExpectLatentsLike(latents_.at(all[i]["name"]), *jobs[i], all[i].dump());
    }
    ExpectLatentsLike(alone, *jobs.back(), "a picture without LoRAs");
  }
}

TEST_F(LoraParityTest, EightLorasAndPicturesWithoutAnyAndWithANetShareAForward) {
  std::vector<json> all;
  const json first = manifest_["requests"].front();
  for (const char* name : {"kohya", "peft", "old", "locon", "mid"}) all.push_back(WithLora(first, name, 0.9));
  for (const size_t shift : {100u, 200u, 300u}) {
    const std::string name = absl::StrCat("peft_", shift);
    Load("sd", name, ShiftLora(PathOf("peft"), shift, absl::StrCat(testing::TempDir(), "/", name, ".safetensors")));
    all.push_back(WithLora(first, name, 1.1));
  }
  all.push_back(Plain(first));
  all.push_back(Plain(first));
  all.back()["control"] = 0.8;
  all.push_back(WithLora(first, "locon", -0.6));
  all.back()["control"] = 1.0;
  std::vector<at::Tensor> alone;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i]["seed"] = 40 + i;
    alone.push_back(PaintedAlone(all[i]));
    json same_seed = Plain(all[i]);
    same_seed.erase("control");
    const bool plain = all[i]["loras"].empty() && !all[i].contains("control");
    EXPECT_TRUE(plain || Apart(alone[i], PaintedAlone(same_seed)) > 0.005) << "nothing is added by " << all[i];
  }
  const std::vector<std::unique_ptr<Job>> jobs = PaintedTogether(all);
  for (size_t i = 0; i < all.size(); ++i) ExpectLatentsLike(alone[i], *jobs[i], all[i].dump());
}

// One prompt under several LoRAs is several texts; none is taken for another, whoever came first.
TEST_F(LoraParityTest, TextsOfDifferentLorasAreNotTakenForEachOther) {
  json wanted = manifest_["requests"].front();
  wanted["loras"][0]["scale"] = 0.0;
  const at::Tensor strong = PaintedAlone(wanted);
  json weak = wanted;
  weak["loras"][0]["text_scale"] = 0.5;
  const at::Tensor half = PaintedAlone(weak);
  const at::Tensor plain = PaintedAlone(Plain(wanted));
  EXPECT_GT(Apart(strong, half), 1e-3);
  EXPECT_GT(Apart(half, plain), 1e-3);
  EXPECT_TRUE(at::equal(PaintedAlone(wanted), strong)) << "the second time, from what is kept of texts";
}

}  // namespace
}  // namespace stepcast

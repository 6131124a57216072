#include "model/files/model_card.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using testing::HasSubstr;

ModelInfo Blank() {
  ModelInfo info;
  info.display_name = "id";
  info.limits = {.size_multiple = 8, .min_side = 32, .max_side = 256, .max_area = 65536, .max_steps = 150};
  info.defaults.width = info.defaults.height = 64;
  return info;
}

absl::Status Apply(const std::string& text, ModelInfo& info) {
  const std::string path = FreshFolder("card") + "/model.json";
  WriteFile(path, text);
  const absl::StatusOr<ModelCard> card = ReadModelCard(path);
  return card.ok() ? ApplyModelCard(*card, info) : card.status();
}

TEST(ApplyModelCard, IsOptional) {
  ModelInfo info = Blank();
  const absl::StatusOr<ModelCard> card = ReadModelCard("/nowhere/model.json");
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(ApplyModelCard(*card, info), absl::OkStatus());
  EXPECT_EQ(info.display_name, "id");
}

TEST(ApplyModelCard, OverridesWhatItNames) {
  ModelInfo info = Blank();
  EXPECT_EQ(Apply(R"({"display_name": "Emoji", "license": "Apache-2.0",
                      "defaults": {"sampler": "DPMPP_2M", "steps": 12, "guidance_scale": 2.5, "width": 128}})",
                  info),
            absl::OkStatus());
  EXPECT_EQ(info.display_name, "Emoji");
  EXPECT_EQ(info.license, "Apache-2.0");
  EXPECT_EQ(info.description, "");
  EXPECT_EQ(info.defaults.sampler, Sampler::kDpmpp2m);
  EXPECT_EQ(info.defaults.steps, 12);
  EXPECT_EQ(info.defaults.guidance_scale, 2.5);
  EXPECT_EQ(info.defaults.width, 128);
  EXPECT_EQ(info.defaults.height, 64);
}

TEST(ApplyModelCard, SaysEveryDefaultOfARequest) {
  ModelInfo info = Blank();
  info.text_layers = 12;
  EXPECT_EQ(Apply(R"({"prediction_type": "v_prediction", "zero_terminal_snr": true, "vae": "other/vae.safetensors",
                      "defaults": {"sampler": "LCM", "timesteps": [999, 749, 499, 249], "guidance_scale": 1,
                                   "sigma_schedule": "KARRAS", "timestep_spacing": "TRAILING", "guidance_rescale": 0.7,
                                   "eta": 0.5, "clip_skip": 1, "negative_prompt": "blurry"}})",
                  info),
            absl::OkStatus());
  EXPECT_EQ(info.defaults.steps, 4);
  EXPECT_THAT(info.defaults.timesteps, testing::ElementsAre(999, 749, 499, 249));
  EXPECT_EQ(info.defaults.sigma_schedule, SigmaSchedule::kKarras);
  EXPECT_EQ(info.defaults.timestep_spacing, TimestepSpacing::kTrailing);
  EXPECT_EQ(info.defaults.guidance_rescale, 0.7);
  EXPECT_EQ(info.defaults.eta, 0.5);
  EXPECT_EQ(info.defaults.clip_skip, 1);
  EXPECT_EQ(info.defaults.negative_prompt, "blurry");
}

TEST(ApplyModelCard, TheLaterCardWins) {
  ModelInfo info = Blank();
  ModelCard file, config;
  file.defaults.timesteps = {999, 499};
  file.defaults.sampler = Sampler::kLcm;
  file.defaults.timestep_spacing = TimestepSpacing::kTrailing;
  file.display_name = "file";
  config.defaults.steps = 20;
  config.defaults.sampler = Sampler::kEuler;
  EXPECT_EQ(ApplyModelCard(file, info), absl::OkStatus());
  EXPECT_EQ(info.defaults.steps, 2);
  EXPECT_EQ(ApplyModelCard(config, info), absl::OkStatus());
  EXPECT_EQ(info.defaults.steps, 20);
  EXPECT_TRUE(info.defaults.timesteps.empty()) << "the configuration's steps replace the card's list";
  EXPECT_EQ(info.defaults.timestep_spacing, std::nullopt) << "it went with the card's sampler";
  EXPECT_EQ(info.display_name, "file");
}

TEST(ApplyModelCard, PathsAreThoseOfItsFolder) {
  const std::string folder = FreshFolder("card_vae");
  WriteFile(folder + "/model.json", R"({"vae": "../vae.safetensors"})");
  EXPECT_EQ(ReadModelCard(folder + "/model.json")->vae, folder.substr(0, folder.rfind('/')) + "/vae.safetensors");
  WriteFile(folder + "/model.json", R"({"vae": "/models/vae"})");
  EXPECT_EQ(ReadModelCard(folder + "/model.json")->vae, "/models/vae");
}

TEST(ReadModelCard, SaysWhatTheModelOrItsPartsComputeIn) {
  const std::string path = FreshFolder("card_dtype") + "/model.json";
  WriteFile(path, R"({"dtype": "fp32"})");
  EXPECT_EQ(ReadModelCard(path)->dtype, DtypeWish{.whole = Dtype::kFp32});
  WriteFile(path, R"({"dtype": {"unet": "bf16", "vae": "auto", "text_encoder": "fp16"}})");
  const DtypeWish parts{.parts = {{"unet", Dtype::kBf16}, {"vae", Dtype::kAuto}, {"text_encoder", Dtype::kFp16}}};
  EXPECT_EQ(ReadModelCard(path)->dtype, parts);
  WriteFile(path, R"({"dtype": {}})");
  EXPECT_EQ(ReadModelCard(path)->dtype, DtypeWish());
}

TEST(ReadModelCard, RefusesOtherDtypesByName) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"dtype": "float16"})", "dtype: got \"float16\"; allowed: auto, fp32, bf16, fp16"},
      {R"({"dtype": 16})", "dtype: got 16; allowed: auto, fp32, bf16, fp16"},
      {R"({"dtype": ["fp16"]})", "dtype: got [\"fp16\"]; allowed: auto, fp32, bf16, fp16"},
      {R"({"dtype": {"vae": "fp8"}})", "dtype.vae: got \"fp8\"; allowed: auto, fp32, bf16, fp16"},
      {R"({"dtype": {"vae": null}})", "dtype.vae: got null"},
      {R"({"dtype": {"vae2": "fp32"}})", "dtype.vae2: no part has this name; allowed: unet, vae, text_encoder"},
  };
  for (const auto& [text, message] : kBad) {
    ModelInfo info = Blank();
    const absl::Status status = Apply(text, info);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

TEST(ApplyModelCard, SaysHowPicturesAreDecodedAndShown) {
  ModelInfo info = Blank();
  info.decoding.tile_side = 512;
  EXPECT_EQ(Apply(R"({"vae_tiling": "on", "vae_tiling_pixels": 300000})", info), absl::OkStatus());
  EXPECT_EQ(info.decoding.tiling, VaeTiling::kOn);
  EXPECT_EQ(info.decoding.tiling_pixels, 300'000);
  for (const char* wrong : {R"({"vae_tiling": "yes"})", R"({"vae_tiling": true})", R"({"vae_tiling_pixels": 0})",
                            R"({"vae_tiling_pixels": "many"})", R"({"preview": 7})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Apply(wrong, info))) << wrong;
  }
  ModelInfo whole = Blank();
  EXPECT_EQ(Apply(R"({"vae_tiling": "off"})", whole), absl::OkStatus());
  EXPECT_THAT(std::string(Apply(R"({"vae_tiling": "on"})", whole).message()), HasSubstr("does not work in tiles"));

  const std::string folder = FreshFolder("card_preview");
  for (const auto& [said, path] : {std::pair{"linear", std::string("linear")},
                                   {"none", std::string("none")},
                                   {"taesd", folder + "/taesd"},
                                   {"./linear", folder + "/linear"},
                                   {"/models/taesd.safetensors", std::string("/models/taesd.safetensors")}}) {
    WriteFile(folder + "/model.json", absl::StrCat(R"({"preview": ")", said, R"("})"));
    EXPECT_EQ(ReadModelCard(folder + "/model.json")->preview, path);
  }
}

TEST(ApplyModelCard, NotesOfOtherProgramsAreNoCards) {
  ModelInfo info = Blank();
  EXPECT_EQ(Apply(R"({"description": "x", "sd version": "SDXL", "activation text": "", "preferred weight": 0})", info),
            absl::OkStatus());
  EXPECT_EQ(info.description, "");
}

// The blocks of docs/models.md that are cards.
std::vector<std::string> CardsOfTheDocs() {
  std::ifstream file(STEPCAST_SOURCE_DIR "/docs/models.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string> cards;
  const std::string open = "```json\n";
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at + 1)) {
    std::string block = text.substr(at + open.size(), text.find("```", at + open.size()) - at - open.size());
    if (block.find("\"defaults\"") != std::string::npos) cards.push_back(std::move(block));
  }
  return cards;
}

TEST(ApplyModelCard, TakesEveryCardOfTheDocs) {
  const std::vector<std::string> cards = CardsOfTheDocs();
  std::set<std::string> names;
  for (const std::string& card : cards) {
    ModelInfo info = Blank();
    info.decoding.tile_side = 512;
    info.limits = {.size_multiple = 8, .min_side = 64, .max_side = 2048, .max_area = 4 << 20, .max_steps = 1000};
    info.text_layers = 12;
    EXPECT_EQ(Apply(card, info), absl::OkStatus()) << card;
    names.insert(info.display_name);
  }
  for (const char* name :
       {"SDXL-Lightning, 2 steps", "SDXL-Lightning, 4 steps", "SDXL-Lightning, 8 steps", "SDXL-Turbo", "LCM-SDXL",
        "DMD2, 4 steps", "Hyper-SDXL, 4 steps", "Illustrious XL", "NoobAI-XL v-pred"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(ApplyModelCard, RefusesDefaultsThatNoRequestCouldUse) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"name": "x"})", "name: unknown key"},
      {R"({"defaults": {"size": 64}})", "size: unknown key"},
      {R"({"defaults": {"sampler": "ddim"}})", "sampler: got 'ddim'; allowed: DDPM, DDIM"},
      {R"({"prediction_type": "flow"})", "prediction_type: got 'flow'; allowed: epsilon, v_prediction, sample"},
      {R"({"defaults": {"sigma_schedule": "karras"}})", "sigma_schedule: got 'karras'; allowed: DEFAULT, KARRAS"},
      {R"({"defaults": {"timesteps": [1, 2]}})", "timesteps: 2: finite numbers"},
      {R"({"defaults": {"timesteps": [9, 2], "steps": 3}})", "steps: 3, but the list makes 2"},
      {R"({"defaults": {"timesteps": [9, 2], "sigmas": [3, 0]}})", "only one of"},
      {R"({"defaults": {"clip_skip": 1}})", "clip_skip: 1 is outside 0..0"},
      {R"({"defaults": {"eta": 2}})", "eta: 2 is outside 0..1"},
      {R"({"defaults": {"guidance_rescale": -1}})", "guidance_rescale: -1 is outside 0..1"},
      {R"({"defaults": {"steps": 0}})", "steps: 0 is outside 1..150"},
      {R"({"defaults": {"steps": 151}})", "steps: 151 is outside"},
      {R"({"defaults": {"guidance_scale": 31}})", "guidance_scale: 31 is outside 0..30"},
      {R"({"defaults": {"width": 20}})", "width: 20 is outside 32..256"},
      {R"({"defaults": {"height": 68}})", "height: 68 is not a multiple of 8"},
      {R"({"defaults": []})", "a JSON object is needed"},
      {R"({"display_name": 5})", "display_name: a string"},
  };
  for (const auto& [text, message] : kBad) {
    ModelInfo info = Blank();
    const absl::Status status = Apply(text, info);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << text;
  }
}

}  // namespace
}  // namespace stepcast::model

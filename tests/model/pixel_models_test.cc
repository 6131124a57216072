// ModelBundle::Load on folders that paint from noise alone: pixels, and the latents of either autoencoder. What they
// paint is compared with diffusers in tests/parity/pixel_parity_test.cc; here is what they tell, and what is refused.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "model/families/class_conditional.h"
#include "model/unet/unet_2d_model.h"
#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"
#include "tests/model/tiny_model.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

constexpr char kFolders[] = STEPCAST_SOURCE_DIR "/tests/parity/data/pixel/";

std::shared_ptr<const ModelBundle> MustLoad(const std::string& folder, c10::ScalarType dtype = c10::ScalarType::Float) {
  auto bundle = LoadTiny(folder, dtype);
  EXPECT_TRUE(bundle.ok()) << folder << ": " << bundle.status();
  return bundle.ok() ? *std::move(bundle) : nullptr;
}

// A copy that a test may change.
std::string CopyOf(const std::string& variant) {
  const std::string folder = FreshFolder("pixel_" + variant);
  fs::copy(kFolders + variant, folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  return folder;
}

void Edit(const std::string& path, const std::string& from, const std::string& to) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  ASSERT_TRUE(absl::StrContains(text.str(), from)) << path << " has no " << from;
  WriteFile(path, absl::StrReplaceAll(text.str(), {{from, to}}));
}

// A component folder of a UNet2DModel with random weights.
void WriteRandomNetwork(const std::string& folder, const std::string& config) {
  auto json = JsonConfig::Parse(config, "config");
  const auto parsed = ParseUNet2DConfig(*json);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  WeightMap described;
  const UNet2DModel network(described, *parsed);
  at::manual_seed(12);
  SafetensorsWriter writer;
  for (const auto& [name, shape] : described.requested()) {
    const at::Tensor values = at::randn(shape);
    const float* data = values.const_data_ptr<float>();
    writer.Add(name, shape, std::vector<float>(data, data + values.numel()));
  }
  WriteFile(folder + "/diffusion_pytorch_model.safetensors", writer.Build());
  WriteFile(folder + "/config.json", config);
}

TEST(PixelModels, TellWhatTheyAre) {
  const struct {
    const char* variant;
    const char* family;
    int channels, factor, width, height, steps, max_steps;
  } kTold[] = {
      {"ddpm_flat", "Pixel-space diffusion", 3, 1, 16, 16, 1000, 1000},
      {"ddpm_grey_variance", "Pixel-space diffusion", 1, 1, 20, 12, 1000, 1000},
      {"ddim_of_ddpm", "Pixel-space diffusion", 3, 1, 16, 16, 50, 1000},
      {"pndm", "Pixel-space diffusion", 3, 1, 16, 16, 50, 1000},
      {"score", "Score model in pixel space", 3, 1, 8, 8, 2000, 2000},
      {"ldm_vq", "Unconditional latent diffusion", 3, 2, 32, 32, 50, 1000},
      {"ldm_vq_wide_codes", "Unconditional latent diffusion", 4, 2, 16, 16, 50, 1000},
      {"ldm_kl", "Unconditional latent diffusion", 4, 2, 16, 16, 50, 1000},
  };
  for (const auto& told : kTold) {
    SCOPED_TRACE(told.variant);
    const auto bundle = MustLoad(std::string(kFolders) + told.variant);
    ASSERT_NE(bundle, nullptr);
    const ModelInfo& info = *bundle->info();
    EXPECT_EQ(info.family, told.family);
    EXPECT_EQ(info.conditioning, ConditioningKind::kNone);
    EXPECT_EQ(info.defaults.guidance_scale, 1.0);
    EXPECT_EQ(info.latent_channels, told.channels);
    EXPECT_EQ(info.vae_scale_factor, told.factor);
    EXPECT_EQ(info.defaults.width, told.width);
    EXPECT_EQ(info.defaults.height, told.height);
    EXPECT_EQ(info.defaults.steps, told.steps) << "as the pipeline paints that nobody tells anything";
    EXPECT_EQ(info.limits.max_steps, told.max_steps);
    EXPECT_TRUE(info.tokenizer_dirs.empty());
    EXPECT_EQ(info.components.size(), told.factor == 1 ? 1u : 2u);
  }
}

TEST(PixelModels, PicturesArePixelsAndSoArePreviews) {
  const c10::InferenceMode no_autograd;
  const auto rgb = MustLoad(std::string(kFolders) + "ddpm_flat");
  const at::Tensor x = at::randn({2, 3, 16, 16});
  EXPECT_EQ(Compare(rgb->codec().Decode(x), x).max, 0);
  EXPECT_LT(Compare(rgb->preview().Decode(x), x).max, 1e-6);
  const auto grey = MustLoad(std::string(kFolders) + "ddpm_grey_variance");
  const at::Tensor y = at::randn({1, 1, 12, 20});
  const at::Tensor picture = grey->codec().Decode(y);
  ASSERT_EQ(picture.sizes().vec(), (std::vector<int64_t>{1, 3, 12, 20}));
  for (int64_t colour = 0; colour < 3; ++colour) EXPECT_EQ(Compare(picture[0][colour], y[0][0]).max, 0);
  EXPECT_LT(Compare(grey->preview().Decode(y), picture).max, 1e-6);
  const auto score = MustLoad(std::string(kFolders) + "score");
  const at::Tensor half = at::full({1, 3, 8, 8}, 0.5);
  EXPECT_EQ(score->codec().Decode(half).abs().max().item<float>(), 0) << "0.5 is the middle of 0..1";
  EXPECT_LT(score->preview().Decode(half).abs().max().item<float>(), 1e-6);
}

TEST(PixelModels, PaintInEveryDtype) {
  const c10::InferenceMode no_autograd;
  for (const char* variant : {"ddpm_flat", "score", "ldm_vq"}) {
    at::Tensor reference;
    for (const c10::ScalarType dtype : {c10::ScalarType::Float, c10::ScalarType::BFloat16, c10::ScalarType::Half}) {
      const auto bundle = MustLoad(std::string(kFolders) + variant, dtype);
      const at::Tensor noise = at::ones({2, 3, 8, 8}, at::TensorOptions(dtype));
      const at::Tensor prediction = bundle->denoiser()(noise, at::ones({2}), {});
      EXPECT_EQ(prediction.scalar_type(), dtype);
      const at::Tensor picture = bundle->codec().Decode(prediction.to(at::kFloat));
      EXPECT_EQ(picture.scalar_type(), at::kFloat);
      if (!reference.defined()) reference = prediction.to(at::kFloat);
      // A network in bfloat16, 8 bits of mantissa.
      EXPECT_LT(Compare(prediction, reference).relative, 0.08) << variant << c10::toString(dtype);
    }
  }
}

TEST(PixelModels, PipelinesThatConvertTheirSchedulerSaySo) {
  const auto ddim = MustLoad(std::string(kFolders) + "ddim_of_ddpm");
  EXPECT_EQ(ddim->info()->defaults.sampler, Sampler::kDdim);
  EXPECT_EQ(ddim->info()->noise_schedule.scheduler_class, "DDIMScheduler");
  EXPECT_THAT(ddim->warnings(), Contains(HasSubstr("a DDIMPipeline runs its DDPMScheduler as a DDIMScheduler")));
  EXPECT_EQ(MustLoad(std::string(kFolders) + "pndm")->info()->defaults.sampler, Sampler::kPndm);
  EXPECT_THAT(MustLoad(std::string(kFolders) + "ddpm_deep")->warnings(), testing::IsEmpty());
}

// Whatever paints by class names its classes, in pixels too.
TEST(PixelModels, MayHaveClasses) {
  const c10::InferenceMode no_autograd;
  const std::string folder = FreshFolder("pixel_classes");
  std::string config = R"({"sample_size": 8, "block_out_channels": [4, 4], "norm_num_groups": 2, "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "add_attention": false, "num_class_embeds": 3})";
  WriteRandomNetwork(folder + "/unet", config);
  WriteFile(folder + "/scheduler/scheduler_config.json", "{}");
  const std::string index = R"({"_class_name": "DDPMPipeline", "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DModel"])";
  WriteFile(folder + "/model_index.json", index + "}");
  EXPECT_THAT(std::string(LoadTiny(folder).status().message()), HasSubstr("id2label is needed"));
  WriteFile(folder + "/model_index.json", index + R"(, "id2label": {"0": "cat", "1": "dog"}})");
  const auto bundle = MustLoad(folder);
  ASSERT_NE(bundle, nullptr);
  EXPECT_EQ(bundle->info()->conditioning, ConditioningKind::kClassLabel);
  EXPECT_TRUE(bundle->info()->has_null_class);
  ConditioningInput dog;
  dog.class_index = 1;
  const Conditioning conditioning = bundle->conditioner().Encode({dog, ConditioningInput()});
  const at::Tensor prediction = bundle->denoiser()(at::ones({2, 3, 8, 8}), at::ones({2}), conditioning);
  EXPECT_GT(Compare(prediction[0], prediction[1]).relative, 1e-3);
}

struct Breakage {
  const char* name;
  const char* variant;
  void (*apply)(const std::string& folder);
  std::vector<const char*> message;
};

const Breakage kBreakages[] = {
    {"an autoencoder where none is",
     "ddpm_deep",
     [](const std::string& folder) { WriteFile(folder + "/model.json", R"({"vae": "unet"})"); },
     {"model.json", "vae", "paints pixels"}},
    {"blocks of NCSN++",
     "score",
     [](const std::string& folder) { Edit(folder + "/unet/config.json", "\"DownBlock2D\"", "\"SkipDownBlock2D\""); },
     {"unet/config.json", "down_block_types", "'SkipDownBlock2D' is not supported"}},
    {"labels that nobody knows",
     "ddpm_deep",
     [](const std::string& folder) {
       Edit(folder + "/model_index.json", "\"_class_name\"", R"("id2label": {"0": "zero"}, "_class_name")");
     },
     {"model_index.json", "num_class_embeds"}},
    {"a U-Net that reads text",
     "ddpm_deep",
     [](const std::string& folder) { Edit(folder + "/model_index.json", "UNet2DModel", "UNet2DConditionModel"); },
     {"component 'unet' is a UNet2DConditionModel"}},
    {"too few codes",
     "ldm_vq",
     [](const std::string& folder) {
       Edit(folder + "/vqvae/config.json", "\"num_vq_embeddings\": 64", "\"num_vq_embeddings\": 32");
     },
     {"vqvae", "quantize.embedding.weight", "[64, 3]"}},
    {"other latents",
     "ldm_vq",
     [](const std::string& folder) {
       Edit(folder + "/vqvae/config.json", "\"vq_embed_dim\": null", "\"vq_embed_dim\": 4");
     },
     {"in_channels 3 must equal the autoencoder's vq_embed_dim 4"}},
    {"spatial norms",
     "ldm_vq",
     [](const std::string& folder) { Edit(folder + "/vqvae/config.json", "\"group\"", "\"spatial\""); },
     {"norm_type", "spatial"}},
    {"an autoencoder of another class",
     "ldm_vq",
     [](const std::string& folder) { Edit(folder + "/model_index.json", "VQModel", "AsymmetricAutoencoderKL"); },
     {"component 'vqvae' is a AsymmetricAutoencoderKL", "VQModel"}},
};

TEST(PixelModels, EachBreakageIsOneClearError) {
  for (const Breakage& breakage : kBreakages) {
    const std::string folder = CopyOf(breakage.variant);
    breakage.apply(folder);
    ExpectRefused(folder, absl::StatusCode::kInvalidArgument, breakage.message, breakage.name);
  }
}

}  // namespace
}  // namespace stepcast::model

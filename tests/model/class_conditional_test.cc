// ModelBundle::Load on class-conditional and unconditional folders, written from the fixtures.
#include "model/families/class_conditional.h"

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"
#include "tests/model/tiny_model.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr char kIndex[] = R"({"_class_name": "ClassConditionalLatentDiffusionPipeline",
  "scheduler": ["diffusers", "DDIMScheduler"], "unet": ["diffusers", "UNet2DModel"],
  "vae": ["diffusers", "AutoencoderKL"], "classifier": ["stepcast", "LatentClassifier"],
  "id2label": {"0": "zero", "9": "nine"}, "null_class": 10})";
constexpr char kUnconditionalIndex[] = R"({"_class_name": "ClassConditionalLatentDiffusionPipeline",
  "scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet2DModel"],
  "vae": ["diffusers", "AutoencoderKL"]})";

// A complete folder: the fixtures' tiny networks, made to fit each other.
std::string TinyModel(const std::string& name, const char* unet_case = "unet_2d_digits") {
  const std::string folder = FreshFolder("class_bundle_" + name);
  const auto copy = [&](const char* parity, const char* component) {
    const Replay part(FindCase(parity));
    fs::create_directories(folder + "/" + component);
    fs::copy_file(part.folder() + "/model.safetensors",
                  folder + "/" + component + "/diffusion_pytorch_model.safetensors");
    WriteFile(folder + "/" + component + "/config.json", part.config());
  };
  copy(unet_case, "unet");
  copy("latent_classifier", "classifier");
  copy("autoencoder_sd1", "vae");
  WriteFile(folder + "/model_index.json", kIndex);
  WriteFile(folder + "/scheduler/scheduler_config.json", R"({"beta_schedule": "squaredcos_cap_v2"})");
  return folder;
}

TEST(ClassConditional, LoadsAndDescribesAWholeFolder) {
  const auto bundle = LoadTiny(TinyModel("whole"));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const ModelInfo& info = *(*bundle)->info();
  EXPECT_EQ(info.conditioning, ConditioningKind::kClassLabel);
  EXPECT_THAT(info.class_labels, ElementsAre(Pair(0, "zero"), Pair(9, "nine")));
  EXPECT_TRUE(info.has_null_class);
  EXPECT_TRUE(info.has_classifier);
  EXPECT_TRUE(info.tokenizer_dirs.empty());
  EXPECT_EQ(info.latent_channels, 4);
  EXPECT_EQ(info.vae_scale_factor, 2);
  EXPECT_EQ(info.defaults.width, 16) << "sample_size 8, two pixels per cell";
  EXPECT_EQ(info.limits.size_multiple, 4);
  EXPECT_EQ(info.limits.min_side, 16) << "never below what it was trained at";
  EXPECT_EQ(info.limits.max_steps, 1000) << "all training timesteps";
  EXPECT_EQ(info.sha256.size(), 64U);
  EXPECT_NE((*bundle)->classifier(), nullptr);
  EXPECT_THAT((*bundle)->warnings(), testing::IsEmpty());
}

TEST(ClassConditional, PaintsEndToEndInEveryDtype) {
  const c10::InferenceMode no_autograd;
  const std::string folder = TinyModel("paints");
  at::Tensor reference;
  for (const c10::ScalarType dtype : {c10::ScalarType::Float, c10::ScalarType::BFloat16, c10::ScalarType::Half}) {
    const auto bundle = LoadTiny(folder, dtype);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    ConditioningInput nine;
    nine.class_index = 9;
    const Conditioning conditioning = (*bundle)->conditioner().Encode({nine, ConditioningInput()});
    const at::Tensor noise = at::ones({2, 4, 8, 8}, at::TensorOptions(dtype));
    const at::Tensor prediction = (*bundle)->denoiser()(noise, at::ones({2}), conditioning);
    EXPECT_EQ(prediction.scalar_type(), dtype);
    EXPECT_GT(Compare(prediction[0], prediction[1]).relative, 1e-3) << "a class and no class differ";
    const at::Tensor gradient =
        (*bundle)->classifier()->Gradient(noise.to(at::kFloat), at::ones({2}), conditioning.class_labels.clamp_max(9));
    EXPECT_EQ(gradient.scalar_type(), c10::ScalarType::Float) << "whatever the model computes in";
    const at::Tensor picture = (*bundle)->codec().Decode(prediction.to(at::kFloat));
    ASSERT_EQ(picture.sizes().vec(), (std::vector<int64_t>{2, 3, 16, 16}));
    if (!reference.defined()) reference = picture;
    // Two networks in a row in bfloat16, 8 bits of mantissa.
    EXPECT_LT(Compare(picture, reference).relative, 0.1) << c10::toString(dtype);
  }
}

TEST(ClassConditional, TheClassifierMayComputeInLessIfItIsNamed) {
  const c10::InferenceMode no_autograd;
  const std::string folder = TinyModel("classifier_dtype");
  const auto gradient = [&](c10::ScalarType dtype) {
    const auto bundle = LoadTiny(folder, dtype);
    EXPECT_TRUE(bundle.ok()) << bundle.status();
    return (*bundle)->classifier()->Gradient(at::ones({1, 4, 8, 8}), at::ones({1}), at::ones({1}, at::kLong));
  };
  const at::Tensor exact = gradient(at::kFloat);
  EXPECT_EQ(Compare(gradient(at::kBFloat16), exact).max, 0.0) << "float32, whatever the model computes in";
  for (const char* dtype : {"bf16", "fp16"}) {
    WriteFile(folder + "/model.json", absl::StrCat(R"({"dtype": {"classifier": ")", dtype, R"("}})"));
    const Difference difference = Compare(gradient(at::kFloat), exact);
    EXPECT_GT(difference.max, 0.0) << dtype;
    // There and back through a U-Net's half, 8 bits of mantissa.
    EXPECT_LT(difference.relative, 0.2) << dtype;
  }
}

TEST(ClassConditional, TheRowAfterTheLabelsIsTheNullClass) {
  const std::string folder = TinyModel("last_row");
  std::string index = kIndex;
  index.replace(index.find(R"(, "null_class": 10)"), 18, "");
  WriteFile(folder + "/model_index.json", index);
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_TRUE((*bundle)->info()->has_null_class);
  EXPECT_EQ((*bundle)->conditioner().Encode({ConditioningInput()}).class_labels.item<int64_t>(), 10);
}

TEST(ClassConditional, AUNetWithoutClassesIsUnconditional) {
  const std::string folder = TinyModel("unconditional", "unet_2d_no_mid_attention");
  WriteFile(folder + "/model_index.json", kUnconditionalIndex);
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_EQ((*bundle)->info()->conditioning, ConditioningKind::kNone);
  EXPECT_EQ((*bundle)->info()->defaults.guidance_scale, 1.0);
  EXPECT_FALSE((*bundle)->info()->has_classifier);
  EXPECT_EQ((*bundle)->classifier(), nullptr);
  const c10::InferenceMode no_autograd;
  const at::Tensor prediction = (*bundle)->denoiser()(at::ones({1, 4, 8, 8}), at::ones({1}), {});
  EXPECT_EQ(prediction.sizes().vec(), (std::vector<int64_t>{1, 4, 8, 8}));
}

struct Breakage {
  const char* name;
  void (*apply)(const std::string& folder);
  std::vector<const char*> message;
};

void Replace(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = kIndex;
  text.replace(text.find(from), from.size(), to);
  WriteFile(path, text);
}

const Breakage kBreakages[] = {
    {"no labels",
     [](const std::string& folder) { WriteFile(folder + "/model_index.json", kUnconditionalIndex); },
     {"model_index.json", "id2label is needed"}},
    {"labels beyond the table",
     [](const std::string& folder) { Replace(folder + "/model_index.json", "\"9\": ", "\"12\": "); },
     {"reach 12", "num_class_embeds 11"}},
    {"null class beyond the table",
     [](const std::string& folder) {
       Replace(folder + "/model_index.json", "\"null_class\": 10", "\"null_class\": 11");
     },
     {"reach 11"}},
    {"text U-Net",
     [](const std::string& folder) { Replace(folder + "/model_index.json", "UNet2DModel", "UNet2DConditionModel"); },
     {"component 'unet' is a UNet2DConditionModel"}},
    {"classifier of another kind",
     [](const std::string& folder) { Replace(folder + "/model_index.json", "LatentClassifier", "ResNet"); },
     {"component 'classifier' is a ResNet"}},
    {"classifier of fewer classes",
     [](const std::string& folder) {
       WriteFile(folder + "/classifier/config.json",
                 R"({"num_classes": 9, "block_out_channels": [8], "norm_num_groups": 2})");
     },
     {"classifier/config.json", "num_classes 9 must cover id2label"}},
    {"classifier's weights",
     [](const std::string& folder) {
       WriteFile(folder + "/classifier/diffusion_pytorch_model.safetensors",
                 SafetensorsWriter().Add("conv_in.weight", {1}, {0}).Build());
     },
     {"classifier: the weights in", "missing: "}},
    {"other channels",
     [](const std::string& folder) {
       WriteFile(folder + "/unet/config.json", R"({"in_channels": 3, "out_channels": 4})");
     },
     {"unet/config.json", "in_channels 3 must equal"}},
};

TEST(ClassConditional, EachBreakageIsOneClearError) {
  for (const Breakage& breakage : kBreakages) {
    const std::string folder = TinyModel("broken");
    breakage.apply(folder);
    ExpectRefused(folder, absl::StatusCode::kInvalidArgument, breakage.message, breakage.name);
  }
}

}  // namespace
}  // namespace stepcast::model

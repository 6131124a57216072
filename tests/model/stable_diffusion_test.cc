// ModelBundle::Load on whole folders: a tiny model written from the fixtures, and its many ways to be broken.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "model/model_bundle.h"
#include "model/unet/unet_2d_condition_model.h"
#include "model/unet/unet_config.h"
#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"
#include "tests/model/tiny_model.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kIndex[] = R"({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.40.0",
  "scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
  "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
  "vae": ["diffusers", "AutoencoderKL"], "safety_checker": [null, null], "requires_safety_checker": false})";

// A complete folder: the fixtures' tiny U-Net, tower and autoencoder, made to fit each other.
std::string TinyModel(const std::string& name) {
  const std::string folder = FreshFolder("bundle_" + name);
  const Replay unet(FindCase("unet_sd2"));
  const Replay text(FindCase("clip_gelu"));
  const Replay vae(FindCase("autoencoder_sd1"));
  const auto copy = [&](const Replay& part, const char* component, const char* file) {
    fs::create_directories(folder + "/" + component);
    fs::copy_file(part.folder() + "/model.safetensors", folder + "/" + component + "/" + file);
    WriteFile(folder + "/" + component + "/config.json", part.config());
  };
  copy(unet, "unet", "diffusion_pytorch_model.safetensors");
  copy(text, "text_encoder", "model.safetensors");
  copy(vae, "vae", "diffusion_pytorch_model.safetensors");
  WriteFile(folder + "/model_index.json", kIndex);
  WriteFile(folder + "/scheduler/scheduler_config.json",
            R"({"beta_start": 0.00085, "num_train_timesteps": 100, "steps_offset": 0, "some_new_key": 1})");
  WriteFile(folder + "/tokenizer/vocab.json", "{}");
  return folder;
}

TEST(StableDiffusion, LoadsAndDescribesAWholeFolder) {
  const std::string folder = TinyModel("whole");
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const ModelInfo& info = *(*bundle)->info();
  EXPECT_EQ(info.id, "tiny");
  EXPECT_EQ(info.display_name, "tiny");
  EXPECT_EQ(info.conditioning, ConditioningKind::kText);
  EXPECT_THAT(info.tokenizer_dirs, testing::ElementsAre(folder + "/tokenizer"));
  EXPECT_EQ(info.text_layers, 5);
  EXPECT_EQ(info.text_vocab_size, 1000);
  EXPECT_EQ(info.text_max_tokens, 77);
  EXPECT_EQ(info.noise_schedule.scheduler_class, "PNDMScheduler");
  EXPECT_EQ(info.noise_schedule.steps_offset, 1);
  EXPECT_EQ(info.vae_scale_factor, 2);
  EXPECT_EQ(info.latent_channels, 4);
  EXPECT_EQ(info.defaults.width, 64) << "sample_size 32, two pixels per cell";
  EXPECT_EQ(info.defaults.sampler, Sampler::kPndm);
  EXPECT_EQ(info.defaults.steps, 30);
  EXPECT_EQ(info.limits.size_multiple, 4) << "the U-Net's own: 2 pixels per cell, halved once";
  EXPECT_EQ(info.limits.min_side, 32);
  EXPECT_EQ(info.limits.max_side, 256);
  EXPECT_EQ(info.limits.max_steps, 100) << "never above the training timesteps";
  EXPECT_EQ(info.sha256.size(), 64U);
  EXPECT_EQ(info.dtype, "fp32");
  EXPECT_EQ(info.device, "cpu");
  EXPECT_GT(info.parameter_count, 100'000);
  EXPECT_THAT((*bundle)->warnings(), testing::Contains(HasSubstr("unknown keys some_new_key")));
}

TEST(StableDiffusion, PaintsEndToEndInEveryDtype) {
  const c10::InferenceMode no_autograd;
  const std::string folder = TinyModel("paints");
  at::Tensor reference;
  for (const c10::ScalarType dtype : {c10::ScalarType::Float, c10::ScalarType::BFloat16, c10::ScalarType::Half}) {
    const auto bundle = LoadTiny(folder, dtype);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    const Conditioning conditioning = (*bundle)->conditioner().Encode({{.text = {.ids = {{0, 5, 6, 999}}}}});
    const at::Tensor noise = at::ones({1, 4, 8, 8}, at::TensorOptions(dtype));
    const at::Tensor prediction = (*bundle)->denoiser()(noise, at::ones({1}), conditioning);
    EXPECT_EQ(prediction.scalar_type(), dtype);
    const at::Tensor picture = (*bundle)->codec().Decode(prediction.to(at::kFloat));
    ASSERT_EQ(picture.sizes().vec(), (std::vector<int64_t>{1, 3, 16, 16}));
    EXPECT_EQ((*bundle)->preview().Decode(prediction.to(at::kFloat)).size(1), 3);
    if (!reference.defined()) reference = picture;
    // Three networks in a row in bfloat16, 8 bits of mantissa.
    EXPECT_LT(Compare(picture, reference).relative, 0.1) << c10::toString(dtype);
  }
}

TEST(StableDiffusion, PartsMayComputeInDifferentTypes) {
  const c10::InferenceMode no_autograd;
  const std::string folder = TinyModel("mixed");
  const auto paint = [](const ModelBundle& bundle) {
    const Denoiser& denoiser = bundle.denoiser();
    const Conditioning encoded = bundle.conditioner().Encode({{.text = {.ids = {{0, 5, 6, 999}}}}});
    const at::Tensor noise = at::ones({1, 4, 8, 8}, at::TensorOptions(bundle.dtype()));
    const at::Tensor prediction = denoiser(noise, at::ones({1}), denoiser.Prepare(encoded));
    EXPECT_TRUE(at::equal(prediction, denoiser(noise, at::ones({1}), encoded))) << "prepared or not";
    return bundle.codec().Decode(prediction.to(at::kFloat));
  };
  const at::Tensor reference = paint(**LoadTiny(folder));
  const char* const kMixtures[] = {
      R"({"dtype": {"text_encoder": "bf16"}})", R"({"dtype": {"vae": "bf16"}})", R"({"dtype": {"unet": "bf16"}})",
      R"({"dtype": {"unet": "bf16", "text_encoder": "fp16"}})", R"({"dtype": {"unet": "fp16", "vae": "bf16"}})"};
  for (const char* card : kMixtures) {
    WriteFile(folder + "/model.json", card);
    const auto bundle = LoadTiny(folder);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    // Three networks in a row in bfloat16, 8 bits of mantissa.
    EXPECT_LT(Compare(paint(**bundle), reference).relative, 0.1) << card;
  }
  const auto last = LoadTiny(folder);
  EXPECT_EQ((*last)->dtype(), at::kHalf);
  EXPECT_EQ(DescribeDtypes(*(*last)->info()), "fp16, text_encoder fp32, vae bf16");
  EXPECT_THAT((*last)->notes(), testing::Contains(HasSubstr("run in bf16")));
}

TEST(StableDiffusion, ADtypeOfAPartThatIsNotThereIsRefused) {
  const std::string folder = TinyModel("no_such_part");
  WriteFile(folder + "/model.json", R"({"dtype": {"text_encoder_2": "bf16"}})");
  EXPECT_THAT(
      std::string(LoadTiny(folder).status().message()),
      HasSubstr("/model.json: dtype.text_encoder_2: the model has no such part; allowed: text_encoder, unet, vae"));
}

TEST(StableDiffusion, AHubCacheIsTheSameModelAsItsCopy) {
  const std::string copy = TinyModel("plain_copy");
  const std::string cache = FreshFolder("hub_cache") + "/models--a--b";
  const std::string snapshot = cache + "/snapshots/0123abcd";
  int blob = 0;
  for (const auto& entry : fs::recursive_directory_iterator(copy)) {
    if (!entry.is_regular_file()) continue;
    const fs::path below = fs::relative(entry.path(), copy);
    const std::string name = "blob" + std::to_string(blob++);
    fs::create_directories(cache + "/blobs");
    fs::copy_file(entry.path(), cache + "/blobs/" + name);
    fs::create_directories((snapshot / below).parent_path());
    const std::string up = below.has_parent_path() ? "../../../blobs/" : "../../blobs/";
    fs::create_symlink(up + name, snapshot / below);
  }
  const auto cached = LoadTiny(snapshot);
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_EQ((*cached)->info()->sha256, (*LoadTiny(copy))->info()->sha256);

  const absl::Status root = LoadTiny(cache).status();
  EXPECT_EQ(root.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(root.message()), testing::AllOf(HasSubstr("Hugging Face cache"), HasSubstr(snapshot)));

  fs::remove(fs::canonical(snapshot + "/unet/config.json"));
  const absl::Status dangling = LoadTiny(snapshot).status();
  EXPECT_EQ(dangling.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(dangling.message()),
              testing::AllOf(HasSubstr("unet/config.json"), HasSubstr("which is not there")));
}

TEST(StableDiffusion, TheOperatorsWordChangesScheduleAndDigest) {
  const std::string folder = TinyModel("said");
  const auto before = LoadTiny(folder);
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ((*before)->info()->decisions,
            (std::vector<ModelDecision>{{"prediction_type", "epsilon", "the default of PNDMScheduler"}}));
  WriteFile(folder + "/model.json", R"({"prediction_type": "v_prediction"})");
  const auto carded = LoadTiny(folder);
  ASSERT_TRUE(carded.ok()) << carded.status();
  EXPECT_EQ((*carded)->info()->noise_schedule.prediction_type, PredictionType::kVPrediction);
  EXPECT_EQ((*carded)->info()->decisions,
            (std::vector<ModelDecision>{{"prediction_type", "v_prediction", folder + "/model.json"}}));
  EXPECT_NE((*carded)->info()->sha256, (*before)->info()->sha256);

  LoadOptions options;
  options.id = "tiny";
  options.path = folder;
  options.card.source = "the configuration";
  options.card.prediction_type = PredictionType::kEpsilon;
  options.card.zero_terminal_snr = true;
  options.card.defaults.steps = 7;
  const auto configured = ModelBundle::Load(options);
  ASSERT_TRUE(configured.ok()) << configured.status();
  EXPECT_EQ((*configured)->info()->noise_schedule.prediction_type, PredictionType::kEpsilon);
  EXPECT_EQ((*configured)->info()->noise_schedule.rescale_betas_zero_snr, true);
  EXPECT_EQ((*configured)->info()->defaults.steps, 7);
}

TEST(StableDiffusion, AnotherAutoencoderTakesThePlaceOfItsOwn) {
  const std::string folder = TinyModel("own_vae"), other = TinyModel("other_vae");
  fs::remove_all(folder + "/vae");
  LoadOptions options;
  options.id = "tiny";
  options.path = folder;
  EXPECT_FALSE(ModelBundle::Load(options).ok());
  options.card.vae = other + "/vae";
  const auto by_folder = ModelBundle::Load(options);
  ASSERT_TRUE(by_folder.ok()) << by_folder.status();
  const auto whole = LoadTiny(other);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const c10::InferenceMode no_autograd;
  const at::Tensor latents = at::ones({1, 4, 8, 8});
  EXPECT_TRUE(at::equal((*by_folder)->codec().Decode(latents), (*whole)->codec().Decode(latents)));
  WriteFile(folder + "/model.json", R"({"vae": "nowhere"})");
  EXPECT_TRUE(ModelBundle::Load(options).ok()) << "the configuration wins";
  options.card.vae = "";
  EXPECT_THAT(std::string(ModelBundle::Load(options).status().message()), HasSubstr(folder + "/nowhere"));
}

TEST(StableDiffusion, WithoutADeviceItIsReadAndNotLoaded) {
  LoadOptions options;
  options.id = "tiny";
  options.path = TinyModel("described");
  options.device = c10::Device(c10::DeviceType::Meta);
  const auto bundle = ModelBundle::Load(options);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const ModelInfo& info = *(*bundle)->info();
  EXPECT_EQ(info.parameter_count, (*LoadTiny(options.path))->info()->parameter_count);
  ASSERT_EQ(info.components.size(), 3U);
  EXPECT_EQ(info.components[1].name, "unet");
  EXPECT_EQ(info.components[1].class_name, "UNet2DConditionModel");
  EXPECT_THAT(info.components[1].files,
              testing::ElementsAre(options.path + "/unet/diffusion_pytorch_model.safetensors"));
  EXPECT_EQ(info.components[1].stored_types.size(), 1U);
  WriteFile(options.path + "/unet/diffusion_pytorch_model.safetensors", SafetensorsWriter().Add("a", {1}, {1}).Build());
  EXPECT_FALSE(ModelBundle::Load(options).ok());
}

TEST(StableDiffusion, TheDigestNamesTheBytes) {
  const std::string folder = TinyModel("digest");
  const std::string before = (*LoadTiny(folder))->info()->sha256;
  EXPECT_EQ((*LoadTiny(folder))->info()->sha256, before);
  WriteFile(folder + "/model.json", R"({"display_name": "Named"})");
  EXPECT_EQ((*LoadTiny(folder))->info()->sha256, before) << "a description paints nothing";
  EXPECT_EQ((*LoadTiny(folder))->info()->display_name, "Named");
  WriteFile(folder + "/tokenizer/vocab.json", "{} ");
  EXPECT_NE((*LoadTiny(folder))->info()->sha256, before);
}

TEST(StableDiffusion, TheBundledModelLoadsWithoutAWarning) {
  const auto bundle = LoadTiny(STEPCAST_SOURCE_DIR "/models/emoji");
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const ModelInfo& info = *(*bundle)->info();
  EXPECT_THAT((*bundle)->warnings(), testing::IsEmpty());
  EXPECT_EQ(info.display_name, "Emoji");
  EXPECT_EQ(info.parameter_count, 12'732'782)
      << "U-Net 10.86 M, text 0.70 M, decoder 0.58 M, encoder 0.37 M, preview decoder 0.21 M";
  EXPECT_TRUE(info.encodes_pictures);
  EXPECT_EQ(info.vae_scale_factor, 4);
  EXPECT_EQ(info.limits.size_multiple, 8);
  EXPECT_EQ(info.defaults.width, 64);
}

TEST(StableDiffusion, LatentConsistencyModelsAreToldTheirScale) {
  const std::string folder = TinyModel("lcm");
  nlohmann::json config = FindCase("unet_sd2").config;
  config["time_cond_proj_dim"] = 16;
  WriteFile(folder + "/unet/config.json", config.dump());
  // Weights of that shape, whatever their values.
  auto json = JsonConfig::Parse(config.dump(), "config");
  WeightMap shapes;
  const UNet2DConditionModel described(shapes, *ParseUNetConfig(*json));
  SafetensorsWriter writer;
  for (const auto& [name, shape] : shapes.requested()) {
    int64_t size = 1;
    for (const int64_t dim : shape) size *= dim;
    writer.Add(name, shape, std::vector<float>(static_cast<size_t>(size), 0.01f));
  }
  WriteFile(folder + "/unet/diffusion_pytorch_model.safetensors", writer.Build());
  std::string index = kIndex;
  index.replace(index.find("StableDiffusionPipeline"), 23, "LatentConsistencyModelPipeline");
  index.replace(index.find("PNDMScheduler"), 13, "LCMScheduler");
  WriteFile(folder + "/model_index.json", index);
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const ModelInfo& info = *(*bundle)->info();
  EXPECT_TRUE(info.noise_schedule.embeds_guidance);
  EXPECT_EQ(info.defaults.sampler, Sampler::kLcm);
  EXPECT_EQ(info.defaults.steps, 4);
  EXPECT_EQ(info.defaults.guidance_scale, 8.5);
  EXPECT_FALSE((*LoadTiny(TinyModel("told_nothing")))->info()->noise_schedule.embeds_guidance);
}

// Opens a file of weights and writes it again with another header.
void EditHeader(const std::string& path, const std::function<void(std::string& header, std::string& data)>& edit) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  std::string header = bytes.substr(8, length);
  std::string data = bytes.substr(8 + length);
  edit(header, data);
  WriteFile(path, SafetensorsBytes(header, data));
}

void AddTensor(const std::string& path, const std::string& name, const std::string& dtype, size_t bytes_per_element) {
  EditHeader(path, [&](std::string& header, std::string& data) {
    const std::string entry =
        absl::StrCat("{\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":[2],\"data_offsets\":[", data.size(), ",",
                     data.size() + 2 * bytes_per_element, "]},");
    header = entry + header.substr(1);
    data.append(2 * bytes_per_element, '\0');
  });
}

TEST(StableDiffusion, TensorsThatNobodyNeedsMayBeOfAnyType) {
  // tests/model/safetensors_test.cc knows all types.
  const std::pair<const char*, size_t> kTypes[] = {{"BOOL", 1}, {"I32", 4}, {"I64", 8}, {"F8_E4M3", 1}};
  for (const auto& [dtype, bytes] : kTypes) {
    const std::string folder = TinyModel("unneeded");
    AddTensor(folder + "/unet/diffusion_pytorch_model.safetensors", "extra.mask", dtype, bytes);
    const auto bundle = LoadTiny(folder);
    ASSERT_TRUE(bundle.ok()) << dtype << ": " << bundle.status();
    const std::string shown = std::string(dtype) == "I64" ? "" : absl::StrCat(" (", dtype, ")");
    EXPECT_THAT((*bundle)->warnings(),
                testing::Contains(testing::EndsWith(absl::StrCat("/unet: unused weights extra.mask", shown))));
  }
}

TEST(StableDiffusion, NotesTellWhereWeightsComeFromAndWhatIsNotRun) {
  const std::string folder = TinyModel("notes");
  std::string index = kIndex;
  index.replace(index.find("[null, null]"), 12, R"(["my_checker", "Mine"])");
  WriteFile(folder + "/model_index.json", index);
  WriteFile(folder + "/safety_checker/config.json", "{}");
  const auto bundle = LoadTiny(folder, c10::ScalarType::BFloat16);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const auto weights = [&](const std::string& component, const std::string& file) {
    return testing::AllOf(testing::StartsWith(component + ": "),
                          testing::EndsWith(" tensors, F32, from " + folder + "/" + file + ", run in bf16"));
  };
  EXPECT_THAT((*bundle)->notes(),
              testing::UnorderedElementsAre(weights("unet", "unet/diffusion_pytorch_model.safetensors"),
                                            weights("text_encoder", "text_encoder/model.safetensors"),
                                            weights("vae", "vae/diffusion_pytorch_model.safetensors"),
                                            "not run: safety_checker (Mine)"));
}

TEST(StableDiffusion, NullMetadataIsToldAndNoHarm) {
  const std::string folder = TinyModel("null_metadata");
  const std::string path = folder + "/vae/diffusion_pytorch_model.safetensors";
  EditHeader(path, [](std::string& header, std::string&) {
    const size_t at = header.find("\"__metadata__\":{");
    if (at != std::string::npos) header.erase(at, header.find('}', at) + 2 - at);
    header = "{\"__metadata__\":null," + header.substr(1);
  });
  const auto bundle = LoadTiny(folder);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_THAT((*bundle)->warnings(), testing::Contains(path + ": __metadata__ is null, read as none"));
}

TEST(StableDiffusion, ANeededTensorOfATypeThatIsNotReadIsNamed) {
  const std::string folder = TinyModel("needed");
  EditHeader(folder + "/vae/diffusion_pytorch_model.safetensors", [](std::string& header, std::string&) {
    const size_t at = header.find("\"F32\"", header.find("decoder.conv_in.bias"));
    header.replace(at, 5, "\"I32\"");
  });
  EXPECT_THAT(std::string(LoadTiny(folder).status().message()),
              HasSubstr("of a type that is not read (F32, F16, BF16, F64, I64 are): decoder.conv_in.bias (I32)"));
}

TEST(StableDiffusion, ComponentsThatNobodyReadsMayBeAnything) {
  const std::string folder = TinyModel("foreign");
  std::string index = kIndex;
  index.replace(index.find("[null, null]"), 12,
                R"(["my_checker", "Mine"], "feature_extractor": ["other", 7], "crops": [0, 0])");
  WriteFile(folder + "/model_index.json", index);
  EXPECT_TRUE(LoadTiny(folder).ok()) << LoadTiny(folder).status();
}

struct Breakage {
  const char* name;
  void (*apply)(const std::string& folder);
  absl::StatusCode code;
  std::vector<const char*> message;
};

const Breakage kBreakages[] = {
    {"no folder",
     [](const std::string& folder) { fs::remove_all(folder); },
     absl::StatusCode::kNotFound,
     {"no such folder"}},
    {"no index",
     [](const std::string& folder) { fs::remove(folder + "/model_index.json"); },
     absl::StatusCode::kNotFound,
     {"no model_index.json"}},
    {"other pipeline",
     [](const std::string& folder) { WriteFile(folder + "/model_index.json", R"({"_class_name": "FluxPipeline"})"); },
     absl::StatusCode::kInvalidArgument,
     {"pipeline 'FluxPipeline' is not supported", "StableDiffusionPipeline"}},
    {"pointer instead of weights",
     [](const std::string& folder) {
       WriteFile(folder + "/unet/diffusion_pytorch_model.safetensors",
                 "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n");
     },
     absl::StatusCode::kFailedPrecondition,
     {"unet/diffusion_pytorch_model.safetensors", "git lfs pull"}},
    {"truncated weights",
     [](const std::string& folder) { fs::resize_file(folder + "/vae/diffusion_pytorch_model.safetensors", 20'000); },
     absl::StatusCode::kInvalidArgument,
     {"vae/diffusion_pytorch_model.safetensors", "truncated"}},
    {"pickle",
     [](const std::string& folder) {
       fs::rename(folder + "/text_encoder/model.safetensors", folder + "/text_encoder/pytorch_model.bin");
     },
     absl::StatusCode::kFailedPrecondition,
     {"text_encoder", "pytorch_model.bin", "save_pretrained"}},
    {"weights of another network",
     [](const std::string& folder) {
       WriteFile(folder + "/unet/diffusion_pytorch_model.safetensors",
                 SafetensorsWriter().Add("conv_in.weight", {1}, {0}).Add("other", {1}, {0}).Build());
     },
     absl::StatusCode::kInvalidArgument,
     {"unet: the weights in", "missing: ", "mis-shaped: conv_in.weight is [1]", "unused: other"}},
    {"bad config",
     [](const std::string& folder) { WriteFile(folder + "/unet/config.json", R"({"act_fn": "tanh"})"); },
     absl::StatusCode::kInvalidArgument,
     {"unet/config.json", "act_fn"}},
    {"scheduler of another kind",
     [](const std::string& folder) {
       WriteFile(folder + "/scheduler/scheduler_config.json", R"({"_class_name": "FlowMatchEulerDiscreteScheduler"})");
     },
     absl::StatusCode::kInvalidArgument,
     {"scheduler/scheduler_config.json: _class_name is FlowMatchEulerDiscreteScheduler", "flow matching models"}},
    {"no scheduler config",
     [](const std::string& folder) { fs::remove_all(folder + "/scheduler"); },
     absl::StatusCode::kNotFound,
     {"scheduler/scheduler_config.json"}},
    {"text of another width",
     [](const std::string& folder) { WriteFile(folder + "/text_encoder/config.json", R"({"hidden_size": 64})"); },
     absl::StatusCode::kInvalidArgument,
     {"cross_attention_dim 32 must equal the text encoder's hidden_size 64"}},
    {"bad card",
     [](const std::string& folder) { WriteFile(folder + "/model.json", R"({"defaults": {"width": 7}})"); },
     absl::StatusCode::kInvalidArgument,
     {"model.json", "width"}},
    {"bad preview",
     [](const std::string& folder) { WriteFile(folder + "/preview.json", R"({"latent_channels": 16})"); },
     absl::StatusCode::kInvalidArgument,
     {"preview.json", "latent_channels"}},
};

TEST(StableDiffusion, EachBreakageIsOneClearError) {
  for (const Breakage& breakage : kBreakages) {
    const std::string folder = TinyModel("broken");
    breakage.apply(folder);
    ExpectRefused(folder, breakage.code, breakage.message, breakage.name);
  }
}

}  // namespace
}  // namespace stepcast::model

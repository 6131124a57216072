// Checkpoints in one file, from the names of their tensors to the numbers that their networks give.

#include "model/single_file/single_file.h"

#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/sha256.h"
#include "model/model_bundle.h"
#include "model/text_encoder/clip_text_model.h"
#include "tests/model/checkpoint_shapes.h"
#include "tests/model/safetensors_writer.h"
#include "text/vocabulary/built_in_clip.h"

namespace stepcast::model {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// On one thread: these networks are so small that others would only wait for each other.
class SingleFile : public ::testing::Test {
 protected:
  SingleFile() { at::set_num_threads(1); }
  ~SingleFile() override { at::set_num_threads(threads_); }

 private:
  const int threads_ = at::get_num_threads();
};

// The sizes of tools/parity/make_original_names.py.
CheckpointShape Small(CheckpointShape shape) {
  shape.channels = {64, 128, 128};
  shape.depths = {1, 1, 0};
  shape.mid_depth = 1;
  shape.context = 64;
  shape.vae_channels = {32, 64};
  shape.clip_layers = std::min<int64_t>(shape.clip_layers, 2);
  shape.clip_width = shape.open_width = 64;
  shape.tokens = 16;
  return shape;
}

CheckpointShape SmallXl() {
  CheckpointShape shape = Small(SdxlShape());
  shape.depths = {0, 1, 2};
  shape.mid_depth = 2;
  shape.context = 128;
  shape.vector = 1600;
  shape.open_layers = 2;
  return shape;
}

CheckpointShape SmallRefiner() {
  CheckpointShape shape = Small(SdxlRefinerShape());
  shape.channels = {64, 128, 128, 128};
  shape.depths = {0, 1, 2, 0};
  shape.mid_depth = 2;
  shape.vector = 64 + 5 * 256;
  shape.open_layers = 2;
  return shape;
}

// The file of a shape list, its values small and all different.
std::string Bytes(const ShapeList& list) {
  SafetensorsWriter writer;
  uint32_t state = 1;
  for (const TensorEntry& entry : list.header().tensors) {
    size_t count = 1;
    for (const int64_t dim : entry.shape) count *= static_cast<size_t>(dim);
    const bool norm = entry.name.find("norm") != std::string::npos || entry.name.find("ln_") != std::string::npos;
    const float centre = norm && entry.name.ends_with("weight") ? 1.0F : 0.0F;
    std::vector<float> values(count);
    for (float& value : values) {
      state = state * 1664525u + 1013904223u;
      value = centre + (static_cast<float>(state >> 8) / 16777216.0F - 0.5F) * 0.1F;
    }
    writer.Add(entry.name, entry.shape, values);
  }
  return writer.Build();
}

std::string Write(const std::string& name, const std::string& bytes) {
  const std::string path = FreshFolder("single_" + name) + "/" + name + ".safetensors";
  WriteFile(path, bytes);
  return path;
}

absl::StatusOr<std::shared_ptr<const ModelBundle>> Load(const std::string& path) {
  LoadOptions options;
  options.id = "tiny";
  options.path = path;
  return ModelBundle::Load(options);
}

// "unet/conv_in.weight = model.diffusion_model.input_blocks.0.0.weight", as the fixtures have it.
std::set<std::string> Lines(const ModelIndex& index) {
  std::set<std::string> lines;
  for (const auto& [component, source] : index.sources) {
    if (source.file == nullptr) continue;
    for (const TensorEntry& entry : source.file->header().tensors) {
      for (const TensorView& view : source.views(entry)) {
        const std::string rows = view.rows >= 0 ? absl::StrCat("[", view.first_row, ":", view.rows, "]") : "";
        lines.insert(absl::StrCat(component, "/", view.name, " = ", entry.name, rows, view.transposed ? " T" : ""));
      }
    }
  }
  return lines;
}

TEST_F(SingleFile, EveryTensorGoesWhereDiffusersPutsIt) {
  const std::pair<const char*, CheckpointShape> kFamilies[] = {
      {"sd1", Small(Sd1Shape())}, {"sd2", Small(Sd2Shape())}, {"sdxl", SmallXl()}, {"refiner", SmallRefiner()}};
  for (const auto& [name, shape] : kFamilies) {
    const auto index = OpenSingleFile(Write(name, Bytes(ShapeList(shape))), {});
    ASSERT_TRUE(index.ok()) << index.status();
    std::set<std::string> expected;
    std::ifstream file(absl::StrCat(STEPCAST_SOURCE_DIR "/tests/model/fixtures/original_names/", name, ".txt"));
    for (std::string line; std::getline(file, line);) expected.insert(line);
    ASSERT_GT(expected.size(), 600u);
    std::set<std::string> ours = Lines(*index);
    // Stable Diffusion 2 reads the tower before its projection, which diffusers drops and the loader passes over.
    if (name == std::string("sd2"))
      ours.erase("text_encoder/text_projection.weight = cond_stage_model.model.text_projection T");
    std::vector<std::string> missing, surplus;
    std::set_difference(expected.begin(), expected.end(), ours.begin(), ours.end(), std::back_inserter(missing));
    std::set_difference(ours.begin(), ours.end(), expected.begin(), expected.end(), std::back_inserter(surplus));
    EXPECT_THAT(missing, IsEmpty()) << name;
    EXPECT_THAT(surplus, IsEmpty()) << name;
  }
}

// The bytes of a stored tensor in the order of its wanted shape.
std::string BytesOf(const StoredTensor& tensor) {
  const std::string bytes = *tensor.file->Bytes(*tensor.entry);
  if (!tensor.transposed) return bytes;
  const auto rows = static_cast<size_t>(tensor.entry->shape[0]), columns = static_cast<size_t>(tensor.entry->shape[1]);
  std::string turned;
  for (size_t c = 0; c < columns; ++c) {
    for (size_t r = 0; r < rows; ++r) turned += bytes.substr((r * columns + c) * 4, 4);
  }
  return turned;
}

// The folder in diffusers layout that holds the same model.
std::string FolderOf(const ModelIndex& index) {
  const std::string folder = FreshFolder("folder_of");
  nlohmann::json root = {{"_class_name", index.pipeline_class}};
  for (const auto& [name, on] : index.options) root[name] = on;
  for (const auto& [name, type] : index.components) {
    root[name] = {type.library, type.class_name};
    const ComponentSource& source = index.sources.at(name);
    for (const auto& [file, config] : source.configs)
      WriteFile(absl::StrCat(folder, "/", name, "/", file), config.dump());
    if (source.file == nullptr) continue;
    const auto set = WeightSet::OpenViews(source.file, source.views, nullptr);
    EXPECT_TRUE(set.ok()) << set.status();
    SafetensorsWriter writer;
    for (const auto& [tensor, stored] : set->tensors()) {
      std::vector<int64_t> shape = stored.entry->shape;
      if (stored.transposed) std::swap(shape[0], shape[1]);
      writer.Add(tensor, "F32", shape, BytesOf(stored));
    }
    const bool text = name.rfind("text", 0) == 0;
    WriteFile(absl::StrCat(folder, "/", name, text ? "/model" : "/diffusion_pytorch_model", ".safetensors"),
              writer.Build());
  }
  WriteFile(folder + "/model_index.json", root.dump());
  return folder;
}

void ExpectSameNumbers(const ModelBundle& file, const ModelBundle& folder) {
  const c10::InferenceMode no_autograd;
  const ModelInfo& info = *file.info();
  const std::vector<int32_t> ids = {0, 5, 6, 15};
  ConditioningInput input;
  input.text.ids.assign(info.tokenizer_dirs.size(), ids);
  for (int i = 0; i < SizeIdCount(info.size_conditioning); ++i) input.size_ids.push_back(static_cast<float>(60 + i));
  const Conditioning a = file.conditioner().Encode({input}), b = folder.conditioner().Encode({input});
  EXPECT_TRUE(at::equal(a.prompt_embeds, b.prompt_embeds));
  EXPECT_EQ(a.text_embeds.defined(), info.size_conditioning != SizeConditioning::kNone);
  EXPECT_EQ(b.text_embeds.defined(), a.text_embeds.defined());
  if (a.text_embeds.defined()) {
    EXPECT_TRUE(at::equal(a.text_embeds, b.text_embeds));
  }
  const at::Tensor latents = at::linspace(-1, 1, 4 * 8 * 8).view({1, 4, 8, 8});
  const at::Tensor prediction = file.denoiser()(latents, at::ones({1}), a);
  EXPECT_TRUE(at::equal(prediction, folder.denoiser()(latents, at::ones({1}), b)));
  EXPECT_TRUE(at::equal(file.codec().Decode(latents), folder.codec().Decode(latents)));
  EXPECT_GT(prediction.abs().max().item<float>(), 0);
}

TEST_F(SingleFile, PaintsWhatTheFolderPaints) {
  struct Family {
    const char* name;
    CheckpointShape shape;
    std::vector<std::string> tokenizers;
  };
  const Family kFamilies[] = {{"sd1", Small(Sd1Shape()), {kBuiltInClip}},
                              {"sd2", Small(Sd2Shape()), {kBuiltInOpenClip}},
                              {"sdxl", SmallXl(), {kBuiltInClip, kBuiltInOpenClip}},
                              {"refiner", SmallRefiner(), {kBuiltInOpenClip}}};
  for (const auto& [name, shape, tokenizers] : kFamilies) {
    SCOPED_TRACE(name);
    const std::string bytes = Bytes(ShapeList(shape));
    const std::string path = Write(name, bytes);
    const auto file = Load(path);
    ASSERT_TRUE(file.ok()) << file.status();
    const auto index = OpenSingleFile(path, {});
    ASSERT_TRUE(index.ok()) << index.status();
    const auto folder = Load(FolderOf(*index));
    ASSERT_TRUE(folder.ok()) << folder.status();
    ExpectSameNumbers(**file, **folder);

    const ModelInfo& info = *(*file)->info();
    EXPECT_EQ(info.sha256, Sha256Hex(bytes)) << "as sha256sum prints it";
    EXPECT_EQ(info.tokenizer_dirs, tokenizers);
    EXPECT_EQ(info.size_conditioning, (*folder)->info()->size_conditioning);
    EXPECT_EQ(info.zeroes_unset_negative, (*folder)->info()->zeroes_unset_negative);
    EXPECT_THAT(info.decisions, Contains(Field(&ModelDecision::about, "prediction_type")));
    EXPECT_EQ(info.parameter_count, (*folder)->info()->parameter_count);
    EXPECT_EQ(info.noise_schedule.beta_schedule, BetaSchedule::kScaledLinear);
    EXPECT_EQ(info.noise_schedule.steps_offset, 1);
    EXPECT_EQ(info.defaults.width, shape.vector > 0 ? 256 : 128) << "128 or 64 cells of 2 pixels";
    for (const std::string& warning : (*file)->warnings()) EXPECT_THAT(warning, HasSubstr("prediction_type"));
  }
}

TEST_F(SingleFile, StableDiffusionXlIsWhatItsPublishedFilesSay) {
  for (const bool refiner : {false, true}) {
    const std::string path = Write("xl_facts", Bytes(ShapeList(refiner ? SmallRefiner() : SmallXl())));
    const auto bundle = Load(path);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    const ModelInfo& info = *(*bundle)->info();
    EXPECT_EQ(info.defaults.sampler, Sampler::kEuler);
    EXPECT_EQ(info.defaults.guidance_scale, 5.0);
    EXPECT_EQ(info.noise_schedule.timestep_spacing, TimestepSpacing::kLeading);
    EXPECT_EQ(info.text_layers, 2);
    EXPECT_EQ(info.size_conditioning, refiner ? SizeConditioning::kAestheticScore : SizeConditioning::kTarget);
    EXPECT_EQ(info.zeroes_unset_negative, !refiner);

    const auto index = OpenSingleFile(path, {});
    ASSERT_TRUE(index.ok()) << index.status();
    const nlohmann::json& vae = index->sources.at("vae").configs.at("config.json");
    EXPECT_EQ(vae["scaling_factor"], 0.13025);
    EXPECT_EQ(vae["force_upcast"], true);
  }
}

// Numbers of training and position ids that merging and saving programs put beside the towers.
TEST_F(SingleFile, WhatOtherProgramsAddToTextTowersIsPassedOverWithoutAWord) {
  ShapeList list(SmallXl());
  list.Add("conditioner.embedders.0.logit_scale", {})
      .Add("conditioner.embedders.0.transformer.text_projection.weight", {64, 64})
      .Add("conditioner.embedders.1.model.transformer.text_model.embeddings.position_ids", {1, 77});
  const auto bundle = Load(Write("additions", Bytes(list)));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_THAT((*bundle)->warnings(), IsEmpty());
}

TEST_F(SingleFile, TheGuidanceEmbeddingOfAConsistencyModelIsFound) {
  CheckpointShape shape = SmallXl();
  shape.guidance = 256;
  const auto bundle = Load(Write("lcm", Bytes(ShapeList(shape))));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_TRUE((*bundle)->info()->noise_schedule.embeds_guidance);
}

TEST_F(SingleFile, TheVPredictionOfAMarkReachesTheSchedule) {
  for (const CheckpointShape& shape : {Small(Sd1Shape()), SmallXl()}) {
    ShapeList list(shape);
    list.Add("v_pred", {0}).Add("ztsnr", {0});
    const auto bundle = Load(Write("marked", Bytes(list)));
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    EXPECT_EQ((*bundle)->info()->noise_schedule.prediction_type, PredictionType::kVPrediction);
    EXPECT_EQ((*bundle)->info()->noise_schedule.rescale_betas_zero_snr, true);
    EXPECT_THAT((*bundle)->warnings(), IsEmpty());
  }
}

TEST_F(SingleFile, WhatIsWrongIsToldWithTheFile) {
  ShapeList no_vae(Small(Sd1Shape()));
  no_vae.Drop("first_stage_model.");
  ShapeList strange_width(Small(Sd1Shape()));
  CheckpointShape heads = Small(Sd2Shape());
  heads.channels = {32, 64, 64};
  ShapeList missing(Small(Sd1Shape()));
  missing.Drop("model.diffusion_model.middle_block.0.out_layers.3.bias");
  ShapeList surplus(Small(Sd1Shape()));
  surplus.Add("model.diffusion_model.middle_block.9.weight", {3}).Add("first_stage_model.decoder.new.weight", {3});
  struct Case {
    const char* name;
    std::string bytes;
    std::vector<std::string> parts;  // "": loads
  };
  const Case cases[] = {
      {"no_vae", Bytes(no_vae), {"no autoencoder", "`vae`"}},
      {"heads", Bytes(ShapeList(heads)), {"32 channels", "heads of 64"}},
      {"missing", Bytes(missing), {"missing: mid_block.resnets.0.conv2.bias"}},
      {"pickle", std::string("PK\x03\x04zzzz", 8), {"pickle"}},
      {"empty", "", {"shorter than"}},
      {"short", Bytes(no_vae).substr(0, 100'000), {"truncated"}},
  };
  for (const Case& at : cases) {
    const std::string path = Write(at.name, at.bytes);
    const absl::Status status = Load(path).status();
    EXPECT_FALSE(status.ok()) << at.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    for (const std::string& part : at.parts) EXPECT_THAT(std::string(status.message()), HasSubstr(part)) << at.name;
  }
  EXPECT_EQ(Load("/nowhere/at.safetensors").status().code(), absl::StatusCode::kNotFound);
  const auto loaded = Load(Write("surplus", Bytes(surplus)));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT((*loaded)->warnings(), Contains(AllOf(HasSubstr("unused"), HasSubstr("middle_block.9.weight"))));
  EXPECT_THAT((*loaded)->warnings(), Contains(AllOf(HasSubstr("unused"), HasSubstr("decoder.new.weight"))));
}

}  // namespace
}  // namespace stepcast::model

#pragma once
// Models for tests: a text model, a class-conditional one and an unconditional one, with a tokenizer of one token per
// word.

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model_info.h"
#include "server/catalog/model_registry.h"
#include "server/request/request_validator.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

// A token per space-separated word: the word's length, below 1000. Start 1000, end and padding 1001; what does not fit
// is cut.
class FakeTokenizer final : public ClipTokenizer {
 public:
  explicit FakeTokenizer(int max_length) : max_length_(max_length) {}

  TokenizedPrompt Encode(std::string_view text) const override {
    TokenizedPrompt prompt;
    prompt.ids.push_back(1000);
    while (!text.empty()) {
      const size_t end = std::min(text.find(' '), text.size());
      if (static_cast<int>(prompt.ids.size()) == max_length_ - 1) {
        prompt.truncated = std::string(text);
        break;
      }
      if (end > 0) prompt.ids.push_back(static_cast<int32_t>(end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    prompt.ids.resize(static_cast<size_t>(max_length_), 1001);
    return prompt;
  }

  std::vector<int32_t> EncodeContent(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (; !text.empty(); text.remove_prefix(std::min(text.find(' '), text.size() - 1) + 1)) {
      if (text.front() != ' ') ids.push_back(static_cast<int32_t>(std::min(text.find(' '), text.size())));
    }
    return ids;
  }

  std::string Decode(std::span<const int32_t> ids) const override { return std::to_string(ids.size()) + " words"; }
  ControlTokens control_tokens() const override { return {.start = 1000, .end = 1001, .pad = 1001}; }
  int max_length() const override { return max_length_; }
  int32_t max_id() const override { return 1001; }

 private:
  const int max_length_;
};

// Loads FakeTokenizer(max_length) from "fake:<max_length>".
inline absl::StatusOr<std::unique_ptr<const ClipTokenizer>> LoadFakeTokenizer(const std::string& dir) {
  if (dir.rfind("fake:", 0) != 0) return absl::NotFoundError(dir + ": there is no tokenizer");
  return std::make_unique<const FakeTokenizer>(std::stoi(dir.substr(5)));
}

inline std::vector<Sampler> BuiltSamplers() {
  return {Sampler::kDdpm, Sampler::kDdim, Sampler::kEuler, Sampler::kEulerAncestral, Sampler::kDpmpp2m};
}

// "texty": 64x64, multiples of 8 from 32 to 128, at most 8192 pixels, 50 steps, 20 by default with DDIM and guidance 5.
inline ModelInfo TextModel(std::string id = "texty") {
  ModelInfo info;
  info.id = std::move(id);
  info.display_name = "Texty";
  info.license = "Apache-2.0";
  info.sha256 = std::string(64, 'a');
  info.tokenizer_dirs = {"fake:8"};
  info.text_layers = 3;
  info.text_vocab_size = 1002;
  info.text_max_tokens = 77;
  info.noise_schedule.scheduler_class = "DDIMScheduler";
  info.samplers = BuiltSamplers();
  info.defaults = {.sampler = Sampler::kDdim, .steps = 20, .guidance_scale = 5.0, .width = 64, .height = 64};
  info.limits = {.size_multiple = 8, .min_side = 32, .max_side = 128, .max_area = 8192, .max_steps = 50};
  info.vae_scale_factor = 4;
  info.parameter_count = 123;
  info.dtype = "fp32";
  info.device = "cpu";
  return info;
}

// "sdxl": a text model with two text encoders that is told sizes; an unset negative prompt is zeros.
inline ModelInfo SdxlModel() {
  ModelInfo info = TextModel("sdxl");
  info.tokenizer_dirs = {"fake:8", "fake:8"};
  info.size_conditioning = SizeConditioning::kTarget;
  info.zeroes_unset_negative = true;
  return info;
}

// "refiner": a text model that is told sizes and a score.
inline ModelInfo RefinerModel() {
  ModelInfo info = TextModel("refiner");
  info.size_conditioning = SizeConditioning::kAestheticScore;
  return info;
}

// "digits": classes 0..9 with labels "0".."9" but for class 9, "nine"; a null class and a classifier; DDIM and DDPM
// only, 1000 steps allowed.
inline ModelInfo ClassModel() {
  ModelInfo info = TextModel("digits");
  info.conditioning = ConditioningKind::kClassLabel;
  info.tokenizer_dirs.clear();
  info.text_layers = 0;
  for (int i = 0; i < 9; ++i) info.class_labels[i] = std::to_string(i);
  info.class_labels[9] = "nine";
  info.has_null_class = true;
  info.has_classifier = true;
  info.samplers = {Sampler::kDdpm, Sampler::kDdim};
  info.limits.max_steps = 1000;
  return info;
}

// "noise": unconditional; Euler, leading.
inline ModelInfo UnconditionalModel() {
  ModelInfo info = TextModel("noise");
  info.conditioning = ConditioningKind::kNone;
  info.tokenizer_dirs.clear();
  info.text_layers = 0;
  info.defaults.sampler = Sampler::kEuler;
  info.noise_schedule.timestep_spacing = TimestepSpacing::kLeading;
  return info;
}

// "painter": a text model that begins with pictures and has two ControlNets, "edges" and "union" with three kinds.
inline ModelInfo PictureModel() {
  ModelInfo info = TextModel("painter");
  info.encodes_pictures = true;
  info.control_nets.resize(2);
  info.control_nets[0].id = "edges";
  info.control_nets[1].id = "union";
  info.control_nets[1].union_types = 3;
  return info;
}

// "inpainter": made for inpainting. "instruct": told by words what to change in a picture.
inline ModelInfo PictureReadingModel(ImageInput input) {
  ModelInfo info = TextModel(input == ImageInput::kPicture ? "instruct" : "inpainter");
  info.encodes_pictures = true;
  info.image_input = input;
  return info;
}

inline SharedModelInfo Share(ModelInfo info) { return std::make_shared<const ModelInfo>(std::move(info)); }

// texty (the default), digits, noise.
inline ModelRegistry ThreeModels() {
  return *ModelRegistry::Create({Share(TextModel()), Share(ClassModel()), Share(UnconditionalModel())}, "",
                                &LoadFakeTokenizer);
}

// texty (the default), painter, inpainter, instruct.
inline ModelRegistry PictureModels() {
  return *ModelRegistry::Create(
      {Share(TextModel()), Share(PictureModel()), Share(PictureReadingModel(ImageInput::kMaskAndPicture)),
       Share(PictureReadingModel(ImageInput::kPicture))},
      "", &LoadFakeTokenizer);
}

// ThreeModels, painter, inpainter.
inline ModelRegistry FiveModels() {
  return *ModelRegistry::Create({Share(TextModel()), Share(ClassModel()), Share(UnconditionalModel()),
                                 Share(PictureModel()), Share(PictureReadingModel(ImageInput::kMaskAndPicture))},
                                "", &LoadFakeTokenizer);
}

// Always the same seed.
class FixedSeed final : public SeedSource {
 public:
  explicit FixedSeed(int64_t seed) : seed_(seed) {}
  int64_t Next() override { return seed_; }

 private:
  const int64_t seed_;
};

}  // namespace stepcast

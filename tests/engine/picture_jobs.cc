#include "tests/engine/picture_jobs.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sampling/compile/compile.h"
#include "sampling/recipe/request_recipe.h"

namespace stepcast::engine {
namespace {

class ForgetfulSink final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

// All prompts of a model have one length.
std::vector<int32_t> Padded(std::vector<int32_t> ids) {
  if (ids.size() < kPromptLength) ids.resize(kPromptLength, 0);
  return ids;
}

}  // namespace

NoiseScheduleConfig TestSchedule() {
  NoiseScheduleConfig schedule;
  schedule.num_train_timesteps = 1000;
  schedule.beta_start = 0.00085;
  schedule.beta_end = 0.012;
  schedule.beta_schedule = BetaSchedule::kScaledLinear;
  schedule.prediction_type = PredictionType::kVPrediction;
  schedule.clip_sample = false;
  schedule.set_alpha_to_one = false;
  schedule.steps_offset = 1;
  return schedule;
}

SharedModelInfo MakePictureModel(const std::string& id) {
  auto info = std::make_shared<ModelInfo>();
  info->id = id;
  info->noise_schedule = TestSchedule();
  info->vae_scale_factor = 4;
  return info;
}

InputPicture PatternPicture(int pattern, int width, int height) {
  auto image = std::make_shared<Image>(Image{.width = width, .height = height, .pixels = {}});
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {5 * x + 31 * pattern, 7 * y + 3 * pattern, x * y / 3 + 90 * pattern}) {
        image->pixels.push_back(static_cast<uint8_t>(value % 256));
      }
    }
  }
  return {.image = std::move(image), .sha256 = absl::StrCat(pattern, ":", width, "x", height)};
}

SharedMask PatternMask(int width, int height, bool grey) {
  auto mask = std::make_shared<Mask>(Mask{.width = width, .height = height, .values = {}});
  for (int i = 0; i < width * height; ++i) {
    const int x = i % width;
    const int sharp = x < width / 2 ? 0 : x < width / 2 + 8 ? 120 : 255;
    mask->values.push_back(static_cast<uint8_t>(grey ? std::max(0, 255 - 255 * x / (width - 9)) : sharp));
  }
  return mask;
}

namespace {

void Bring(const Brought& brought, GenerationRequest& request) {
  request.init_image = PatternPicture(brought.pattern, request.width, request.height);
  request.strength = brought.strength;
  request.invert = brought.invert;
  if (!brought.masked) return;
  request.inpainting = Inpainting{.mask = PatternMask(request.width, request.height, brought.differential),
                                  .fill = brought.noise_fill ? InpaintFill::kNoise : InpaintFill::kOriginal,
                                  .blend_domain = brought.x0 ? BlendDomain::kX0 : BlendDomain::kLatents,
                                  .differential = brought.differential};
}

sampling::SamplerSpec SpecOf(const Picture& picture) {
  sampling::SamplerSpec spec;
  spec.sampler = picture.sampler;
  spec.steps = picture.steps;
  spec.sigma_schedule = picture.sigma_schedule;
  spec.eta = picture.eta;
  spec.classifier_scale = picture.classifier_scale;
  spec.guidance_scale = picture.guidance_scale;
  spec.guidance_rescale = picture.guidance_rescale;
  spec.guidance_start = picture.guidance_start;
  spec.guidance_end = picture.guidance_end;
  if (!picture.brought.has_value() || picture.brought->looked_at) return spec;
  if (picture.brought->invert) {
    spec.inversion = sampling::Inversion::kPaintsInverted;
  } else if (!picture.brought->masked || picture.brought->strength < 1.0) {
    spec.strength = picture.brought->strength;
  }
  return spec;
}

sampling::SharedProgram Compiled(const NoiseScheduleConfig& schedule, const sampling::SamplerSpec& spec) {
  absl::StatusOr<sampling::SharedProgram> program = sampling::Compile(schedule, spec);
  if (!program.ok()) {
    std::cerr << "test picture does not compile: " << program.status() << "\n";
    std::abort();
  }
  return *std::move(program);
}

}  // namespace

sampling::SharedProgram CompilePicture(const NoiseScheduleConfig& schedule, const Picture& picture) {
  return Compiled(schedule, SpecOf(picture));
}

sampling::SharedRecipe MakeRecipe(sampling::SharedProgram program) {
  GenerationRequest request;
  request.model = MakePictureModel("fake");
  request.prompt_parts = {{.tokens = {.ids = {{1, 2}}}}};
  request.negative_tokens = {.ids = {{5, 6}}};
  request.width = request.height = 32;
  return sampling::RecipeOf(request, std::move(program));
}

const SharedEmbedding& Cond(const DenoiseState& state) {
  return state.embedding(state.stage().row_sets.front().rows.back().conditioning);
}

const SharedEmbedding& Uncond(const DenoiseState& state) {
  static const SharedEmbedding& none = *new SharedEmbedding();
  const auto& sets = state.stage().row_sets;
  return sets.size() < 2 ? none : state.embedding(sets[1].rows.front().conditioning);
}

JobSpec MakePictureSpec(const SharedModelInfo& model, const Picture& picture, std::shared_ptr<EventSink> sink) {
  auto request = std::make_shared<GenerationRequest>();
  request->model = model;
  request->prompt_parts = {{.tokens = {.ids = {Padded(picture.prompt)}}}};
  request->negative_tokens = {.ids = {Padded(picture.negative)}};
  if (!picture.prompt_2.empty()) {
    request->prompt_parts.front().tokens.ids.push_back(picture.prompt_2);
    request->negative_tokens.ids.push_back(picture.negative_2);
  }
  if (picture.tokens.has_value()) request->prompt_parts.front().tokens = *picture.tokens;
  if (picture.negative_tokens.has_value()) request->negative_tokens = *picture.negative_tokens;
  request->negative_prompt_given = picture.negative_given;
  request->sizes = picture.sizes;
  request->clip_skip = picture.clip_skip;
  request->class_index = picture.class_index;
  request->classifier_scale = picture.classifier_scale;
  request->width = picture.width;
  request->height = picture.height;
  request->steps = picture.steps;
  request->sampler = picture.sampler;
  request->guidance_scale = picture.guidance_scale;
  request->seed = picture.seed;
  request->preview.every_n_steps = picture.preview_every;
  request->vae_tiling = picture.vae_tiling;
  request->control = picture.control;
  for (size_t i = 0; i < request->control.size(); ++i) {
    request->control[i].image = PatternPicture(static_cast<int>(i + 1), request->width, request->height);
  }
  sampling::SharedProgram inversion;
  if (picture.brought.has_value()) {
    Bring(*picture.brought, *request);
    sampling::SamplerSpec inverting = SpecOf(picture);
    inverting.inversion = sampling::Inversion::kInverts;
    if (picture.brought->invert) inversion = Compiled(model->noise_schedule, inverting);
  }
  JobSpec spec = MakeJobSpec(std::move(request), CompilePicture(model->noise_schedule, picture), std::move(inversion));
  spec.sink = std::move(sink);
  return spec;
}

std::unique_ptr<Job> MakePictureJob(int64_t id, const SharedModelInfo& model, const Picture& picture) {
  return std::make_unique<Job>(JobId{id}, MakePictureSpec(model, picture, std::make_shared<ForgetfulSink>()));
}

}  // namespace stepcast::engine

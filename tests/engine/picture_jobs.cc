#include "tests/engine/picture_jobs.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "sampling/compile.h"
#include "sampling/request_recipe.h"

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

sampling::SharedProgram CompilePicture(const NoiseScheduleConfig& schedule, const Picture& picture) {
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
  absl::StatusOr<sampling::SharedProgram> program = sampling::Compile(schedule, spec);
  if (!program.ok()) {
    std::cerr << "test picture does not compile: " << program.status() << "\n";
    std::abort();
  }
  return *std::move(program);
}

sampling::SharedRecipe MakeRecipe(sampling::SharedProgram program) {
  GenerationRequest request;
  request.model = MakePictureModel("fake");
  request.prompt_ids = {{1, 2}};
  request.negative_prompt_ids = {{5, 6}};
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
  request->prompt_ids = {Padded(picture.prompt)};
  request->negative_prompt_ids = {Padded(picture.negative)};
  if (!picture.prompt_2.empty()) {
    request->prompt_ids.push_back(picture.prompt_2);
    request->negative_prompt_ids.push_back(picture.negative_2);
  }
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
  JobSpec spec = MakeJobSpec(std::move(request), CompilePicture(model->noise_schedule, picture));
  spec.sink = std::move(sink);
  return spec;
}

std::unique_ptr<Job> MakePictureJob(int64_t id, const SharedModelInfo& model, const Picture& picture) {
  return std::make_unique<Job>(JobId{id}, MakePictureSpec(model, picture, std::make_shared<ForgetfulSink>()));
}

}  // namespace stepcast::engine

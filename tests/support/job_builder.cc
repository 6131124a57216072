#include "tests/support/job_builder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sampling/recipe/request_recipe.h"

namespace stepcast {
namespace {

// Its pictures of more than 64 pixels are decoded in tiles.
constexpr char kTiledModel[] = "tiled";

}  // namespace

SharedModelInfo MakeModelInfo(const std::string& id) {
  auto info = std::make_shared<ModelInfo>();
  info->id = id;
  info->display_name = id;
  info->sha256 = std::string(64, '0');
  info->samplers = {Sampler::kDdim, Sampler::kEuler};
  info->defaults.steps = 4;
  info->defaults.width = 64;
  info->defaults.height = 64;
  info->limits = {.size_multiple = 8, .min_side = 8, .max_side = 1024, .max_area = 1 << 20, .max_steps = 150};
  info->vae_scale_factor = 4;
  info->dtype = "fp32";
  info->device = "cpu";
  return info;
}

SharedRequest MakeRequest(const TestJob& job) {
  auto request = std::make_shared<GenerationRequest>();
  request->model = MakeModelInfo(job.model);
  if (job.network_previews) {
    ModelInfo model = *request->model;
    model.decoding.preview = PreviewKind::kNetwork;
    request->model = std::make_shared<const ModelInfo>(std::move(model));
  }
  if (job.model == kTiledModel) {
    ModelInfo model = *request->model;
    model.decoding.tile_side = 64;
    request->model = std::make_shared<const ModelInfo>(std::move(model));
    request->vae_tiling = true;
  }
  request->prompt = absl::StrCat("picture ", job.seed);
  request->prompt_parts = {{.tokens = {.ids = {{0, static_cast<int32_t>(job.seed), 1}}}}};
  request->negative_tokens = {.ids = {{0, 1, 1}}};
  request->width = job.width;
  request->height = job.height;
  request->steps = job.steps;
  request->sampler = job.evaluations_per_step == 1 ? Sampler::kDdim : Sampler::kHeun;
  request->guidance_scale = job.guidance_scale;
  request->seed = job.seed;
  request->image_count = job.image_count;
  request->tenant = job.tenant;
  request->priority = job.priority;
  request->preview.every_n_steps = job.preview_every;
  return request;
}

sampling::SharedProgram MakeProgram(const TestJob& job) {
  auto program = std::make_shared<sampling::SamplingProgram>();
  const int evaluations = job.steps * job.evaluations_per_step;
  program->sampler = job.evaluations_per_step == 1 ? Sampler::kDdim : Sampler::kHeun;
  program->steps = job.steps;
  for (int i = 0; i < evaluations; ++i) {
    sampling::Evaluation evaluation;
    evaluation.step = i / job.evaluations_per_step;
    evaluation.timestep = static_cast<float>(1000 - i * 1000 / evaluations);
    if (job.guidance_scale > 1.0 && i < evaluations - job.unguided_tail) {
      evaluation.guidance = {.kind = sampling::GuidanceKind::kClassifierFree,
                             .scale = static_cast<float>(job.guidance_scale),
                             .rescale = 0.0f};
    }
    evaluation.x0_from_latents = 1.0f;
    program->evaluations.push_back(std::move(evaluation));
  }
  return program;
}

sampling::SharedRecipe MakeRecipe(const TestJob& job) {
  const SharedRequest request = MakeRequest(job);
  const auto pass = [&](int steps) {
    TestJob own = job;
    own.steps = steps;
    sampling::Recipe recipe = *sampling::RecipeOf(*request, MakeProgram(own));
    std::vector<sampling::RowSet>& sets = recipe.stages.front().row_sets;
    const sampling::Window window{0, 0, job.tile, job.tile};
    const sampling::Row row{.window = job.tile > 0 ? window : sampling::Window()};
    if (job.rows > 0 && sets.size() > 1) sets[1].rows.assign(static_cast<size_t>(job.rows), row);
    return recipe;
  };
  auto recipe = std::make_shared<sampling::Recipe>(pass(job.steps));
  if (job.second_steps == 0) return recipe;
  sampling::Recipe second = pass(job.second_steps);
  sampling::Stage& stage = second.stages.front();
  stage.latent_height *= 2;
  stage.latent_width *= 2;
  stage.start = sampling::StageStart::kLatents;
  stage.resize = sampling::LatentResize::kBilinear;
  recipe->stages.push_back(std::move(stage));
  // The one may show what the other does not.
  if (second.conditionings.size() > recipe->conditionings.size()) recipe->conditionings = second.conditionings;
  return recipe;
}

std::vector<JobSpec> MakeSpecs(const TestJob& job, std::shared_ptr<EventSink> sink) {
  JobSpec spec = MakeJobSpec(MakeRequest(job), MakeRecipe(job));
  spec.arrival = job.arrival;
  spec.deadline = job.deadline;
  spec.sink = std::move(sink);
  std::vector<JobSpec> specs(static_cast<size_t>(job.image_count), spec);
  for (size_t i = 0; i < specs.size(); ++i) specs[i].image_index = static_cast<int>(i);
  return specs;
}

std::unique_ptr<Job> MakeJob(int64_t id, const TestJob& job, std::shared_ptr<EventSink> sink) {
  return std::make_unique<Job>(JobId{id}, std::move(MakeSpecs(job, std::move(sink)).front()));
}

std::unique_ptr<Job> MakeJobAt(int64_t id, const TestJob& job, int position, std::shared_ptr<EventSink> sink) {
  auto made = MakeJob(id, job, std::move(sink));
  made->set_needs_encode(false);
  for (int i = 0; i < position; ++i) made->Advance();
  return made;
}

}  // namespace stepcast

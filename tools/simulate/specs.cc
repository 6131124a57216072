#include "tools/simulate/specs.h"

namespace stepcast::simulate {
namespace {

SharedRequest MakeRequest(const Arrival& arrival, SharedModelInfo model) {
  auto request = std::make_shared<GenerationRequest>();
  request->width = arrival.latent_width * model->vae_scale_factor;
  request->height = arrival.latent_height * model->vae_scale_factor;
  request->model = std::move(model);
  request->steps = arrival.steps;
  request->sampler = arrival.evaluations_per_step == 1 ? Sampler::kEuler : Sampler::kHeun;
  request->prompt_parts = {{}};  // a guided evaluation is a row for each, and one for the negative prompt
  request->guidance_scale = arrival.guided ? 5.0 : 1.0;
  request->image_count = arrival.images;
  request->priority = arrival.priority;
  request->tenant = arrival.tenant;
  request->preview.every_n_steps = arrival.previews_every;
  return request;
}

sampling::SharedProgram MakeProgram(const Arrival& arrival) {
  auto program = std::make_shared<sampling::SamplingProgram>();
  program->steps = arrival.steps;
  for (int i = 0; i < arrival.steps * arrival.evaluations_per_step; ++i) {
    sampling::Evaluation evaluation;
    evaluation.step = i / arrival.evaluations_per_step;
    if (arrival.guided) evaluation.guidance = {.kind = sampling::GuidanceKind::kClassifierFree, .scale = 5.0f};
    program->evaluations.push_back(std::move(evaluation));
  }
  return program;
}

}  // namespace

JobSpec SpecMaker::Make(const Arrival& arrival, std::shared_ptr<EventSink> sink) {
  const Key key(arrival.model, arrival.steps, arrival.evaluations_per_step, arrival.latent_height, arrival.latent_width,
                arrival.guided, arrival.previews_every, arrival.images, arrival.priority, arrival.tenant);
  JobSpec& made = made_[key];
  if (made.request == nullptr) made = MakeJobSpec(MakeRequest(arrival, ModelOf(arrival.model)), MakeProgram(arrival));
  JobSpec spec = made;
  spec.sink = std::move(sink);
  return spec;
}

SharedModelInfo SpecMaker::ModelOf(const std::string& id) {
  SharedModelInfo& model = models_[id];
  if (model == nullptr) {
    auto info = std::make_shared<ModelInfo>();
    info->id = id;
    info->vae_scale_factor = kVaeScale;
    model = std::move(info);
  }
  return model;
}

}  // namespace stepcast::simulate

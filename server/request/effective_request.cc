#include "server/catalog/sampler_support.h"
#include "server/request/pictures/effective_pictures.h"
#include "server/request/request_validator.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

void SetConditioning(const GenerationRequest& request, v1::GenerateRequest& wire) {
  if (request.model->conditioning == ConditioningKind::kText) {
    wire.set_prompt(request.prompt);
    if (request.negative_prompt_given) wire.set_negative_prompt(request.negative_prompt);
    if (!request.prompt_2.empty()) wire.set_prompt_2(request.prompt_2);
    if (!request.negative_prompt_2.empty()) wire.set_negative_prompt_2(request.negative_prompt_2);
    wire.set_clip_skip(request.clip_skip);
    wire.set_prompt_syntax(ToProto(request.prompt_syntax));
  }
  if (request.class_index.has_value()) wire.set_class_index(*request.class_index);
}

void SetNegativeSizes(const NegativeSizes& sizes, v1::SizeConditioning& told) {
  told.set_negative_original_width(sizes.original_width);
  told.set_negative_original_height(sizes.original_height);
  told.set_negative_crop_left(sizes.crop_left);
  told.set_negative_crop_top(sizes.crop_top);
  told.set_negative_target_width(sizes.target_width);
  told.set_negative_target_height(sizes.target_height);
}

void SetSizeConditioning(const GenerationRequest& request, v1::GenerateRequest& wire) {
  const SizeConditioning kind = request.model->size_conditioning;
  if (kind == SizeConditioning::kNone) return;
  v1::SizeConditioning& told = *wire.mutable_size_conditioning();
  told.set_original_width(request.sizes.original_width);
  told.set_original_height(request.sizes.original_height);
  told.set_crop_left(request.sizes.crop_left);
  told.set_crop_top(request.sizes.crop_top);
  if (kind == SizeConditioning::kTarget) {
    told.set_target_width(request.sizes.target_width);
    told.set_target_height(request.sizes.target_height);
    if (request.sizes.negative.has_value()) SetNegativeSizes(*request.sizes.negative, told);
  } else {
    told.set_aesthetic_score(request.sizes.aesthetic_score);
    told.set_negative_aesthetic_score(request.sizes.negative_aesthetic_score);
  }
}

void SetSampling(const GenerationRequest& request, v1::GenerateRequest& wire) {
  wire.set_steps(request.steps);
  wire.set_sampler(ToProto(request.sampler));
  if (request.timesteps.empty() && request.sigmas.empty()) {
    wire.set_sigma_schedule(ToProto(request.sigma_schedule));
    wire.set_timestep_spacing(ToProto(
        request.timestep_spacing.value_or(DefaultTimestepSpacing(request.model->noise_schedule, request.sampler))));
  }
  wire.mutable_timesteps()->Add(request.timesteps.begin(), request.timesteps.end());
  wire.mutable_sigmas()->Add(request.sigmas.begin(), request.sigmas.end());
  if (TakesEta(request.sampler)) wire.set_eta(request.eta);
  if (request.model->conditioning == ConditioningKind::kNone) return;
  wire.set_guidance_scale(request.guidance_scale);
  wire.set_guidance_rescale(request.guidance_rescale);
  wire.set_guidance_start(request.guidance_start);
  wire.set_guidance_end(request.guidance_end);
  if (request.model->has_classifier) wire.set_classifier_scale(request.classifier_scale);
}

// Those that were asked for: what is left open is the sampler's own affair.
void SetSamplerOptions(const SamplerOptions& options, v1::GenerateRequest& wire) {
  if (options == SamplerOptions()) return;
  v1::SamplerOptions& set = *wire.mutable_sampler_options();
  if (options.solver_order) set.set_solver_order(*options.solver_order);
  if (options.churn) set.set_churn(*options.churn);
  if (options.s_noise) set.set_s_noise(*options.s_noise);
  if (options.original_inference_steps) set.set_original_inference_steps(*options.original_inference_steps);
  if (options.langevin == LangevinOptions()) return;
  v1::LangevinOptions& langevin = *set.mutable_langevin();
  if (options.langevin.levels) langevin.set_levels(*options.langevin.levels);
  if (options.langevin.inner_steps) langevin.set_inner_steps(*options.langevin.inner_steps);
  if (options.langevin.epsilon) langevin.set_epsilon(*options.langevin.epsilon);
  if (options.langevin.final_denoise) langevin.set_final_denoise(*options.langevin.final_denoise);
}

void SetLoras(const GenerationRequest& request, v1::GenerateRequest& wire) {
  for (const LoraInput& input : request.loras) {
    v1::LoraInput& lora = *wire.add_loras();
    lora.set_name(input.name);
    lora.set_scale(input.scale);
    if (input.changes_text_encoders) lora.set_text_scale(input.text_scale);
  }
}

void SetOutput(const GenerationRequest& request, v1::GenerateRequest& wire) {
  v1::OutputOptions& output = *wire.mutable_output();
  output.set_format(ToProto(request.output.format));
  if (request.output.format != ImageFormat::kPng) output.set_quality(request.output.quality);
  output.set_embed_parameters(request.output.embed_parameters);
  if (request.preview.every_n_steps == 0) return;
  v1::PreviewOptions& preview = *wire.mutable_preview();
  preview.set_every_n_steps(request.preview.every_n_steps);
  preview.set_max_side(request.preview.max_side);
  preview.set_format(ToProto(request.preview.format));
}

}  // namespace

v1::GenerateRequest ToEffectiveRequest(const GenerationRequest& request) {
  v1::GenerateRequest wire;
  wire.set_model(request.model->id);
  wire.set_seed(request.seed);
  wire.set_image_count(request.image_count);
  wire.set_width(request.width);
  wire.set_height(request.height);
  SetConditioning(request, wire);
  SetSizeConditioning(request, wire);
  SetSampling(request, wire);
  SetSamplerOptions(request.sampler_options, wire);
  SetPictures(request, wire);
  SetLoras(request, wire);
  SetOutput(request, wire);
  if (CanTile(request.model->decoding, request.width, request.height)) wire.set_vae_tiling(request.vae_tiling);
  wire.set_priority(ToProto(request.priority));
  return wire;
}

}  // namespace stepcast

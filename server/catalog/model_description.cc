#include "server/catalog/model_description.h"

#include <algorithm>
#include <string>

#include "core/model_memory.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

// A path's last two parts, "scheduler/scheduler_config.json"; other texts as they are.
std::string WithoutFolders(const std::string& text) {
  if (text.empty() || (text.front() != '/' && text.front() != '.')) return text;
  const size_t last = text.rfind('/');
  const size_t before = last == 0 || last == std::string::npos ? std::string::npos : text.rfind('/', last - 1);
  return before == std::string::npos ? text : text.substr(before + 1);
}

v1::ModelDefaults DescribeDefaults(const RegisteredModel& model) {
  const ModelDefaults& defaults = model.info->defaults;
  v1::ModelDefaults described;
  described.set_sampler(ToProto(defaults.sampler));
  described.set_sigma_schedule(ToProto(defaults.sigma_schedule));
  described.set_timestep_spacing(ToProto(
      defaults.timestep_spacing.value_or(DefaultTimestepSpacing(model.info->noise_schedule, defaults.sampler))));
  described.set_steps(defaults.steps);
  described.set_guidance_scale(model.info->conditioning == ConditioningKind::kNone ? 1.0 : defaults.guidance_scale);
  described.set_width(defaults.width);
  described.set_height(defaults.height);
  described.set_guidance_rescale(defaults.guidance_rescale);
  described.set_clip_skip(defaults.clip_skip);
  if (defaults.negative_prompt.has_value()) described.set_negative_prompt(*defaults.negative_prompt);
  if (defaults.eta.has_value()) described.set_eta(*defaults.eta);
  described.mutable_timesteps()->Add(defaults.timesteps.begin(), defaults.timesteps.end());
  described.mutable_sigmas()->Add(defaults.sigmas.begin(), defaults.sigmas.end());
  return described;
}

v1::ModelLimits DescribeModelLimits(const RegisteredModel& model, const LimitsConfig& limits) {
  const ModelLimits narrow = NarrowLimits(*model.info, limits);
  v1::ModelLimits described;
  described.set_size_multiple(narrow.size_multiple);
  described.set_min_side(narrow.min_side);
  described.set_max_side(narrow.max_side);
  described.set_max_area(narrow.max_area);
  described.set_max_steps(narrow.max_steps);
  described.set_max_clip_skip(std::max(0, model.info->text_layers - 1));
  if (!model.tokenizers.empty()) described.set_max_prompt_tokens(model.tokenizers.front()->max_length());
  return described;
}

v1::ModelDecoding DescribeDecoding(const ModelInfo& info) {
  const Decoding& decoding = info.decoding;
  const ModelDefaults& defaults = info.defaults;
  v1::ModelDecoding described;
  described.set_tile_side(decoding.tile_side);
  if (decoding.tile_side > 0 && decoding.tiling != VaeTiling::kOff) {
    described.set_tiled_above_pixels(decoding.tiling == VaeTiling::kOn ? 0 : decoding.tiling_pixels);
  }
  described.set_max_decode_bytes(decoding.max_bytes);
  described.set_default_decode_bytes(DecodeBytes(decoding, defaults.width, defaults.height,
                                                 TilesByDefault(decoding, defaults.width, defaults.height)));
  described.set_preview(ToProto(decoding.preview));
  described.set_preview_scale(decoding.preview_scale);
  return described;
}

// Where it comes from and what it is made of. Paths of files are the operator's and are not told.
void DescribeOrigin(const ModelInfo& info, v1::Model& described) {
  described.set_family(info.family);
  for (const ModelDecision& decision : info.decisions) {
    v1::ModelDecision* told = described.add_decisions();
    told->set_about(decision.about);
    told->set_value(WithoutFolders(decision.value));
    told->set_source(WithoutFolders(decision.source));
  }
  for (const ModelComponent& component : info.components) {
    v1::ModelComponent* told = described.add_components();
    told->set_name(component.name);
    told->set_class_name(component.class_name);
    for (const std::string& type : component.stored_types) told->add_stored_types(type);
    told->set_parameter_count(component.parameters);
    told->set_compute_type(component.compute_type);
    told->set_memory_bytes(component.bytes);
    told->set_sha256(component.sha256);
  }
}

void DescribeControlNets(const ModelInfo& info, v1::Model& described) {
  for (const ControlNetInfo& net : info.control_nets) {
    v1::ControlNet* told = described.add_control_nets();
    told->set_id(net.id);
    told->set_class_name(net.class_name);
    told->set_family(net.family);
    told->set_control_types(net.union_types);
    told->set_sha256(net.sha256);
    told->set_dtype(net.dtype);
    told->set_parameter_count(net.parameters);
    told->set_memory_bytes(net.bytes);
  }
}

v1::ModelState ToProto(ModelState state) {
  switch (state) {
    case ModelState::kReady:
      return v1::MODEL_STATE_READY;
    case ModelState::kUnloaded:
      return v1::MODEL_STATE_UNLOADED;
    case ModelState::kLoading:
      return v1::MODEL_STATE_LOADING;
    case ModelState::kUnloading:
      return v1::MODEL_STATE_UNLOADING;
    case ModelState::kFailed:
      return v1::MODEL_STATE_FAILED;
    case ModelState::kOff:
      break;
  }
  return v1::MODEL_STATE_OFF;
}

// Whether it is in memory, and what it takes there.
void DescribeMemory(const ModelInfo& info, const ModelStanding& standing, v1::Model& described) {
  described.set_state(ToProto(standing.state));
  described.set_loading(standing.loading == ModelLoading::kPinned     ? v1::MODEL_LOADING_PINNED
                        : standing.loading == ModelLoading::kOnDemand ? v1::MODEL_LOADING_ON_DEMAND
                                                                      : v1::MODEL_LOADING_EAGER);
  described.set_memory_bytes(WeightBytes(info));
  for (const std::string& device : info.devices) described.add_devices(device);
  for (v1::ModelComponent& component : *described.mutable_components()) {
    const auto shared = standing.shared_with.find(component.name());
    if (shared == standing.shared_with.end()) continue;
    for (const std::string& model : shared->second) component.add_shared_with(model);
  }
}

}  // namespace

ModelLimits NarrowLimits(const ModelInfo& model, const LimitsConfig& limits) {
  ModelLimits narrow = model.limits;
  narrow.max_side = std::min(narrow.max_side, limits.max_side);
  narrow.max_area = std::min(narrow.max_area, limits.max_area);
  narrow.max_steps = std::min(narrow.max_steps, limits.max_steps);
  return narrow;
}

v1::Model DescribeModel(const RegisteredModel& model, bool is_default, const LimitsConfig& limits,
                        const ModelStanding& standing) {
  const ModelInfo& info = *model.info;
  v1::Model described;
  described.set_id(info.id);
  described.set_display_name(info.display_name);
  described.set_description(info.description);
  described.set_license(info.license);
  described.set_attribution(info.attribution);
  described.set_sha256(info.sha256);
  described.set_is_default(is_default);
  described.set_conditioning(ToProto(info.conditioning));
  for (const auto& [index, label] : info.class_labels) {
    v1::ClassLabel* class_label = described.add_class_labels();
    class_label->set_index(index);
    class_label->set_label(label);
  }
  for (const SamplerSupport& support : model.samplers) {
    v1::SamplerSupport* sampler = described.add_samplers();
    sampler->set_sampler(ToProto(support.sampler));
    for (const SigmaSchedule schedule : support.sigma_schedules) sampler->add_sigma_schedules(ToProto(schedule));
    sampler->set_takes_eta(support.takes_eta);
    sampler->set_max_solver_order(support.options.max_solver_order);
    sampler->set_takes_churn(support.options.churn);
    sampler->set_takes_original_inference_steps(support.options.original_inference_steps);
    sampler->set_takes_langevin(support.options.langevin);
    sampler->set_takes_timesteps(support.options.timesteps);
    sampler->set_takes_sigmas(support.options.sigmas);
    sampler->set_draws_noise(support.draws_noise);
    sampler->set_evaluations(support.evaluations);
  }
  *described.mutable_defaults() = DescribeDefaults(model);
  *described.mutable_limits() = DescribeModelLimits(model, limits);
  described.set_parameter_count(info.parameter_count);
  described.set_dtype(info.dtype);
  described.set_device(info.device);
  described.set_has_classifier(info.has_classifier);
  described.set_has_null_class(info.has_null_class);
  described.set_takes_prompt_2(model.tokenizers.size() > 1);
  described.set_takes_size_conditioning(info.size_conditioning != SizeConditioning::kNone);
  described.set_takes_aesthetic_score(info.size_conditioning == SizeConditioning::kAestheticScore);
  described.set_zeroes_unset_negative(info.zeroes_unset_negative);
  *described.mutable_decoding() = DescribeDecoding(info);
  described.set_encodes_pictures(info.encodes_pictures);
  described.set_image_input(ToProto(info.image_input));
  DescribeOrigin(info, described);
  DescribeControlNets(info, described);
  DescribeMemory(info, standing, described);
  return described;
}

v1::ServerLimits DescribeLimits(const LimitsConfig& limits, int max_queued_jobs) {
  v1::ServerLimits described;
  described.set_max_prompt_bytes(limits.max_prompt_bytes);
  described.set_max_steps(limits.max_steps);
  described.set_max_image_count(limits.max_image_count);
  described.set_max_previews_per_image(limits.max_previews_per_image);
  described.set_max_preview_side(limits.max_preview_side);
  described.set_max_megapixel_steps(limits.max_megapixel_steps);
  described.set_max_request_bytes(limits.max_request_bytes);
  described.set_max_unary_response_bytes(limits.max_unary_response_bytes);
  described.set_image_chunk_bytes(limits.image_chunk_bytes);
  described.set_max_queued_jobs(max_queued_jobs);
  described.set_max_side(limits.max_side);
  described.set_max_area(limits.max_area);
  described.set_max_input_picture_bytes(limits.input_pictures.max_bytes);
  described.set_max_input_picture_pixels(limits.input_pictures.max_pixels);
  described.set_max_input_picture_side(limits.input_pictures.max_side);
  described.set_max_control_inputs(limits.input_pictures.max_control);
  described.set_max_prompt_chunks(limits.max_prompt_chunks);
  described.set_max_loras(limits.max_loras);
  described.set_max_resume_token_bytes(limits.resume.max_token_bytes);
  described.set_min_checkpoint_every(limits.resume.min_checkpoint_every);
  return described;
}

}  // namespace stepcast

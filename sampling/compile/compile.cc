#include "sampling/compile/compile.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/status_macros.h"
#include "sampling/compile/check_options.h"
#include "sampling/compile/classifier_guidance.h"
#include "sampling/compile/inversion.h"
#include "sampling/program/program_builder.h"
#include "sampling/samplers/registry.h"
#include "sampling/schedule/class_defaults.h"
#include "sampling/schedule/noise_schedule.h"

namespace stepcast::sampling {
namespace {

absl::Status CheckRange(std::string_view field, double value, double low, double high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s: got %g; allowed are %g to %g", field, value, low, high));
}

absl::StatusOr<const SamplerDefinition*> Find(Sampler sampler) {
  if (const SamplerDefinition* definition = FindSampler(sampler)) return definition;
  const std::string names =
      absl::StrJoin(SupportedSamplers(), ", ", [](std::string* out, Sampler s) { out->append(SamplerName(s)); });
  return absl::InvalidArgumentError(
      absl::StrFormat("sampler: %s is not supported; supported are %s", SamplerName(sampler), names));
}

absl::Status CheckSpec(const SamplerSpec& spec, const SamplerDefinition& definition) {
  if (!std::isfinite(spec.guidance_scale)) {
    return absl::InvalidArgumentError("guidance_scale: must be a finite number");
  }
  STEPCAST_RETURN_IF_ERROR(CheckRange("guidance_rescale", spec.guidance_rescale, 0.0, 1.0));
  STEPCAST_RETURN_IF_ERROR(CheckRange("guidance_start", spec.guidance_start, 0.0, 1.0));
  STEPCAST_RETURN_IF_ERROR(CheckRange("guidance_end", spec.guidance_end, spec.guidance_start, 1.0));
  const double eta = spec.eta.value_or(0.0);
  STEPCAST_RETURN_IF_ERROR(CheckRange("eta", eta, 0.0, 1.0));
  STEPCAST_RETURN_IF_ERROR(CheckRange("classifier_scale", spec.classifier_scale, 0.0, kMaxClassifierScale));
  if (eta != 0.0 && !definition.default_eta) {
    return absl::InvalidArgumentError(
        absl::StrFormat("eta: got %g, but %s has no eta; leave it unset", eta, SamplerName(spec.sampler)));
  }
  STEPCAST_RETURN_IF_ERROR(CheckOptions(spec, definition));
  const auto& schedules = definition.sigma_schedules;
  if (std::find(schedules.begin(), schedules.end(), spec.sigma_schedule) == schedules.end()) {
    const std::string names =
        absl::StrJoin(schedules, ", ", [](std::string* out, SigmaSchedule s) { out->append(SigmaScheduleName(s)); });
    return absl::InvalidArgumentError(absl::StrFormat("sigma_schedule: %s does not go with %s; allowed are %s",
                                                      SigmaScheduleName(spec.sigma_schedule), SamplerName(spec.sampler),
                                                      names));
  }
  return absl::OkStatus();
}

// Models and samplers of two kinds do not mix; a config without a class is taken at its word.
absl::Status CheckKind(const NoiseScheduleConfig& config, const SamplerDefinition& definition) {
  if (config.scheduler_class.empty()) return absl::OkStatus();
  bool is_edm = false;
  for (const SamplerDefinition* other : AllSamplers()) {
    is_edm |= other->for_edm_models && other->defaults.scheduler_class == config.scheduler_class;
  }
  if (is_edm == definition.for_edm_models) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("sampler: %s is for models %s EDM's preconditioning; this model's scheduler is %s",
                      SamplerName(definition.sampler), is_edm ? "without" : "with", config.scheduler_class));
}

// The model's settings with the wishes of the request on top.
absl::StatusOr<ScheduleSettings> Settings(const NoiseScheduleConfig& config, const SamplerSpec& spec,
                                          const SamplerDefinition& definition) {
  STEPCAST_ASSIGN_OR_RETURN(ScheduleSettings settings, ResolveSettings(config, definition.defaults));
  if (settings.predicts_score && !definition.takes_score) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "sampler: %s does not go with a model of class ScoreSdeVe, which predicts the score of its own noise levels; "
        "use SDE_VE or ANNEALED_LANGEVIN",
        SamplerName(spec.sampler)));
  }
  if (spec.timestep_spacing) settings.timestep_spacing = *spec.timestep_spacing;
  if (spec.sigma_schedule != SigmaSchedule::kDefault) {
    settings.sigma_schedule = spec.sigma_schedule;
  } else if (definition.configures_sigmas) {
    settings.sigma_schedule = ConfiguredSigmaSchedule(config, definition.sigma_schedules);
  }
  if (spec.steps < 1 || spec.steps > settings.num_train_timesteps) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "steps: got %d; this model allows 1 to %d (its training timesteps)", spec.steps, settings.num_train_timesteps));
  }
  STEPCAST_RETURN_IF_ERROR(CheckAgainstModel(spec, settings));
  // diffusers refuses a list beside use_karras_sigmas and its kin; here the request's list replaces them.
  if (!spec.timesteps.empty() || !spec.sigmas.empty()) settings.sigma_schedule = SigmaSchedule::kDefault;
  return settings;
}

// Index of the first step that runs.
absl::StatusOr<int> FirstStep(const SamplerSpec& spec) {
  if (!spec.strength) return 0;
  STEPCAST_RETURN_IF_ERROR(CheckRange("strength", *spec.strength, 0.0, 1.0));
  const int executed = static_cast<int>(spec.steps * *spec.strength);  // cut off, in double, as diffusers does
  if (executed < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "strength: %g of %d steps leaves no step to run; raise strength or steps", *spec.strength, spec.steps));
  }
  return spec.steps - executed;
}

// As LatentConsistencyModelImg2ImgPipeline of diffusers: all steps run, within the less noisy part of the schedule.
// Other models whose sampler is LCM leave out steps.
bool TakesStrengthForItsSchedule(const NoiseScheduleConfig& schedule, const SamplerSpec& spec) {
  return spec.strength.has_value() && schedule.embeds_guidance && spec.sampler == Sampler::kLcm &&
         spec.timesteps.empty();
}

void SetGuidance(const SamplerSpec& spec, bool embeds_guidance, SamplingProgram& program) {
  const int first = static_cast<int>(spec.guidance_start * program.steps);
  const int last = static_cast<int>(spec.guidance_end * program.steps);
  for (Evaluation& evaluation : program.evaluations) {
    const bool within = evaluation.step >= first && evaluation.step < last;
    const auto scale = static_cast<float>(spec.guidance_scale);
    if (embeds_guidance) {
      // One row whatever the scale, also below 1: nothing to take the difference of, nor to rescale.
      evaluation.guidance = {GuidanceKind::kEmbedded, within ? scale : 1.0f, 0.0f};
    } else if (within && spec.guidance_scale > 1.0) {
      evaluation.guidance = {GuidanceKind::kClassifierFree, scale, static_cast<float>(spec.guidance_rescale)};
    }
  }
}

absl::StatusOr<SharedProgram> CompileOnce(const NoiseScheduleConfig& schedule, const SamplerSpec& spec) {
  STEPCAST_ASSIGN_OR_RETURN(const SamplerDefinition* definition, Find(spec.sampler));
  STEPCAST_RETURN_IF_ERROR(CheckSpec(spec, *definition));
  STEPCAST_RETURN_IF_ERROR(CheckKind(schedule, *definition));
  STEPCAST_ASSIGN_OR_RETURN(const ScheduleSettings settings, Settings(schedule, spec, *definition));
  const bool takes_strength = TakesStrengthForItsSchedule(schedule, spec);
  STEPCAST_ASSIGN_OR_RETURN(const int first_step, takes_strength ? absl::StatusOr<int>(0) : FirstStep(spec));
  const double schedule_share = takes_strength ? *spec.strength : 1.0;
  STEPCAST_ASSIGN_OR_RETURN(const NoiseSchedule noise_schedule, NoiseSchedule::Create(settings));

  ProgramBuilder builder(spec.sampler, definition->history);
  const SamplerInput input{spec, settings, noise_schedule, first_step, definition->default_eta, schedule_share};
  STEPCAST_RETURN_IF_ERROR(definition->build(input, builder));
  STEPCAST_ASSIGN_OR_RETURN(SamplingProgram program, std::move(builder).Build());
  if (spec.inversion == Inversion::kInverts) {
    STEPCAST_ASSIGN_OR_RETURN(program, Invert(program, settings, noise_schedule));
    return std::make_shared<const SamplingProgram>(std::move(program));
  }
  if (spec.inversion == Inversion::kPaintsInverted) StartInverted(program);
  SetGuidance(spec, schedule.embeds_guidance, program);
  STEPCAST_RETURN_IF_ERROR(SetClassifierGuidance(spec.classifier_scale, settings, noise_schedule, program));
  return std::make_shared<const SamplingProgram>(std::move(program));
}

// One wish of a request, taken back.
struct Wish {
  std::string_view field;
  void (*take_back)(SamplerSpec& spec);
};

constexpr Wish kWishes[] = {
    {"sampler_options.s_noise", [](SamplerSpec& s) { s.options.s_noise.reset(); }},
    {"sampler_options.churn", [](SamplerSpec& s) { s.options.churn.reset(); }},
    {"sampler_options.langevin.epsilon", [](SamplerSpec& s) { s.options.langevin.epsilon.reset(); }},
    {"sampler_options.original_inference_steps", [](SamplerSpec& s) { s.options.original_inference_steps.reset(); }},
    {"sampler_options.solver_order", [](SamplerSpec& s) { s.options.solver_order.reset(); }},
    {"sigmas", [](SamplerSpec& s) { s.sigmas.clear(); }},
    {"timesteps", [](SamplerSpec& s) { s.timesteps.clear(); }},
    {"sigma_schedule", [](SamplerSpec& s) { s.sigma_schedule = SigmaSchedule::kDefault; }},
    {"timestep_spacing", [](SamplerSpec& s) { s.timestep_spacing.reset(); }},
    {"eta", [](SamplerSpec& s) { s.eta = 0.0; }},
};

// A refusal that blames the sampler or the steps, of a request whose program exists without one of its wishes: blames
// that one.
absl::Status NameFieldAtFault(const NoiseScheduleConfig& schedule, const SamplerSpec& spec,
                              const absl::Status& refusal) {
  constexpr absl::string_view kSampler = "sampler: ";
  const bool blames_sampler = absl::StartsWith(refusal.message(), kSampler);
  if (!blames_sampler && !absl::StartsWith(refusal.message(), "steps: ")) return refusal;
  for (const Wish& wish : kWishes) {
    if (!blames_sampler && wish.field != "timestep_spacing") continue;
    SamplerSpec without = spec;
    wish.take_back(without);
    if (without == spec || !CompileOnce(schedule, without).ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat(absl::string_view(wish.field.data(), wish.field.size()),
                                                   ": with it, ", absl::StripPrefix(refusal.message(), kSampler)));
  }
  return refusal;
}

}  // namespace

absl::StatusOr<SharedProgram> Compile(const NoiseScheduleConfig& schedule, const SamplerSpec& spec) {
  absl::StatusOr<SharedProgram> program = CompileOnce(schedule, spec);
  return program.ok() ? program : NameFieldAtFault(schedule, spec, program.status());
}

const std::vector<Sampler>& SupportedSamplers() {
  static const auto& samplers = *[] {
    auto* list = new std::vector<Sampler>;
    for (const SamplerDefinition* definition : AllSamplers()) list->push_back(definition->sampler);
    return list;
  }();
  return samplers;
}

}  // namespace stepcast::sampling

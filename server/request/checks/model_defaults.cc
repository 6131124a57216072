#include "server/request/checks/model_defaults.h"

#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

bool SaysSomething(const ModelDefaults& defaults) {
  return defaults.guidance_rescale > 0.0 || defaults.clip_skip > 0 || defaults.negative_prompt.has_value() ||
         defaults.timestep_spacing.has_value() || defaults.eta.has_value() || !defaults.timesteps.empty() ||
         !defaults.sigmas.empty();
}

void FillSteps(const ModelDefaults& defaults, v1::GenerateRequest& wire) {
  const bool listed = !wire.timesteps().empty() || !wire.sigmas().empty();
  const bool spaced = wire.timestep_spacing() != v1::TIMESTEP_SPACING_UNSPECIFIED;
  const bool scheduled = wire.sigma_schedule() != v1::SIGMA_SCHEDULE_UNSPECIFIED;
  if (listed) return;
  if (!spaced && !scheduled && !wire.has_steps() && !(defaults.timesteps.empty() && defaults.sigmas.empty())) {
    wire.mutable_timesteps()->Add(defaults.timesteps.begin(), defaults.timesteps.end());
    wire.mutable_sigmas()->Add(defaults.sigmas.begin(), defaults.sigmas.end());
    return;
  }
  if (!spaced && defaults.timestep_spacing.has_value()) {
    wire.set_timestep_spacing(ToProto(*defaults.timestep_spacing));
  }
}

void FillText(const ModelDefaults& defaults, bool guided, v1::GenerateRequest& wire) {
  if (defaults.clip_skip > 0 && !wire.has_clip_skip()) wire.set_clip_skip(defaults.clip_skip);
  if (guided && defaults.negative_prompt.has_value() && !wire.has_negative_prompt()) {
    wire.set_negative_prompt(*defaults.negative_prompt);
  }
}

}  // namespace

std::optional<v1::GenerateRequest> WithModelDefaults(const v1::GenerateRequest& wire, const ModelInfo& model) {
  const ModelDefaults& defaults = model.defaults;
  if (!SaysSomething(defaults)) return std::nullopt;
  v1::GenerateRequest filled = wire;
  const double scale = wire.has_guidance_scale() ? wire.guidance_scale() : defaults.guidance_scale;
  const bool guided = scale > 1.0 && !model.noise_schedule.embeds_guidance;
  if (model.conditioning == ConditioningKind::kText) FillText(defaults, guided, filled);
  if (guided && defaults.guidance_rescale > 0.0 && !wire.has_guidance_rescale() &&
      model.conditioning != ConditioningKind::kNone) {
    filled.set_guidance_rescale(defaults.guidance_rescale);
  }
  if (wire.sampler() == v1::SAMPLER_UNSPECIFIED || wire.sampler() == ToProto(defaults.sampler)) {
    FillSteps(defaults, filled);
    if (defaults.eta.has_value() && !wire.has_eta()) filled.set_eta(*defaults.eta);
  }
  return filled;
}

}  // namespace stepcast

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/shortest_number.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

constexpr double kMaxGuidanceScale = 30.0;

// The sampler and what the model knows of it.
const SamplerSupport* CheckSampler(const RequestContext& context, GenerationRequest& resolved,
                                   FieldViolations& violations) {
  const v1::Sampler wire = context.wire.sampler();
  const auto named = FromProto(wire);
  const SamplerSupport* support = context.model.FindSampler(named.value_or(context.info().defaults.sampler));
  if (wire != v1::SAMPLER_UNSPECIFIED && (!named.has_value() || support == nullptr)) {
    const auto append = [](std::string* out, const SamplerSupport& each) {
      absl::StrAppend(out, v1::Sampler_Name(ToProto(each.sampler)));
    };
    violations.Add(
        "sampler", EnumName(v1::Sampler_Name(wire), wire),
        absl::StrCat(absl::StrJoin(context.model.samplers, ", ", append), ", see Model.samplers of GetModel"));
    support = context.model.FindSampler(context.info().defaults.sampler);
  }
  resolved.sampler = support->sampler;
  return support;
}

void CheckSigmaSchedule(const RequestContext& context, const SamplerSupport& support, GenerationRequest& resolved,
                        FieldViolations& violations) {
  const auto& schedules = support.sigma_schedules;
  const auto takes = [&schedules](SigmaSchedule schedule) {
    return std::find(schedules.begin(), schedules.end(), schedule) != schedules.end();
  };
  const v1::SigmaSchedule wire = context.wire.sigma_schedule();
  const auto named = FromProto(wire);
  if (wire == v1::SIGMA_SCHEDULE_UNSPECIFIED) {
    const SigmaSchedule preferred = context.info().defaults.sigma_schedule;
    resolved.sigma_schedule = takes(preferred) ? preferred : SigmaSchedule::kDefault;
  } else if (named.has_value() && takes(*named)) {
    resolved.sigma_schedule = *named;
  } else if (!violations.Has("sampler")) {
    const auto append = [](std::string* out, SigmaSchedule schedule) {
      absl::StrAppend(out, v1::SigmaSchedule_Name(ToProto(schedule)));
    };
    violations.Add("sigma_schedule", EnumName(v1::SigmaSchedule_Name(wire), wire),
                   absl::StrCat(absl::StrJoin(schedules, ", ", append), " with ",
                                v1::Sampler_Name(ToProto(support.sampler)), ", see Model.samplers of GetModel"));
  }
}

void CheckTimestepSpacing(const RequestContext& context, const SamplerSupport& support, GenerationRequest& resolved,
                          FieldViolations& violations) {
  const v1::TimestepSpacing wire = context.wire.timestep_spacing();
  resolved.timestep_spacing = FromProto(wire).value_or(support.timestep_spacing);
  if (v1::TimestepSpacing_IsValid(wire)) return;
  violations.Add("timestep_spacing", absl::StrCat(static_cast<int>(wire)),
                 "TIMESTEP_SPACING_LINSPACE, TIMESTEP_SPACING_LEADING, TIMESTEP_SPACING_TRAILING");
}

void CheckEta(const RequestContext& context, const SamplerSupport& support, GenerationRequest& resolved,
              FieldViolations& violations) {
  resolved.eta = support.default_eta;
  if (!context.wire.has_eta() || violations.Has("sampler")) return;
  const double eta = context.wire.eta();
  if (!support.takes_eta) {
    violations.Add("eta", ShortestNumber(eta),
                   absl::StrCat("unset, because ", v1::Sampler_Name(ToProto(support.sampler)),
                                " takes none; see SamplerSupport.takes_eta of GetModel"));
  } else if (violations.CheckReal("eta", eta, 0.0, 1.0)) {
    resolved.eta = eta;
  }
}

// A model that is told the scale has no unguided prediction to be led away from, nor two to rescale.
void WarnOfEmbeddedGuidance(bool interval, GenerationRequest& resolved) {
  if (resolved.guidance_scale > 1.0 && !interval) {
    resolved.warnings.push_back("guidance_scale has no effect: no step lies between guidance_start and guidance_end");
  }
  if (!resolved.negative_prompt.empty()) {
    resolved.warnings.push_back("negative_prompt has no effect: this model is told the guidance scale, not guided");
  }
  if (resolved.guidance_rescale > 0.0) {
    resolved.warnings.push_back("guidance_rescale has no effect: this model is told the guidance scale, not guided");
  }
}

double CheckFraction(absl::string_view field, double value, double unset, FieldViolations& violations) {
  return violations.CheckReal(field, value, 0.0, 1.0) ? value : unset;
}

// A class model without a class to paint has nothing to be guided to.
double DefaultGuidance(const RequestContext& context, const GenerationRequest& resolved) {
  const ModelInfo& info = context.info();
  const bool classless = info.conditioning == ConditioningKind::kClassLabel && !resolved.class_index.has_value();
  return classless ? 1.0 : info.defaults.guidance_scale;
}

// Guidance of a class model leads from any class to one.
void CheckNullClass(const RequestContext& context, const GenerationRequest& resolved, double scale,
                    FieldViolations& violations) {
  const ModelInfo& info = context.info();
  if (info.conditioning != ConditioningKind::kClassLabel || !(scale > 1.0)) return;
  if (!info.has_null_class) {
    violations.Add("guidance_scale", ShortestNumber(scale),
                   absl::StrCat("at most 1, because ", info.id, " has no class that stands for any class"));
  } else if (!resolved.class_index.has_value() && !violations.Has("class_index") && !violations.Has("class_label")) {
    violations.Add("guidance_scale", ShortestNumber(scale), "at most 1 without class_index or class_label");
  }
}

void RefuseGuidance(const RequestContext& context, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const auto refuse = [&](bool given, absl::string_view field, double value) {
    if (given) violations.Add(field, ShortestNumber(value), context.Unset());
  };
  refuse(wire.has_guidance_scale(), "guidance_scale", wire.guidance_scale());
  refuse(wire.has_guidance_rescale(), "guidance_rescale", wire.guidance_rescale());
  refuse(wire.has_guidance_start(), "guidance_start", wire.guidance_start());
  refuse(wire.has_guidance_end(), "guidance_end", wire.guidance_end());
}

// What was asked for but changes nothing, because no step is guided.
void WarnOfNoEffect(const v1::GenerateRequest& wire, GenerationRequest& resolved) {
  const bool by_scale = resolved.guidance_scale <= 1.0;
  std::vector<absl::string_view> unused;
  if (!by_scale) unused.push_back("guidance_scale");
  if (!resolved.negative_prompt.empty()) unused.push_back("negative_prompt");
  if (resolved.guidance_rescale > 0.0) unused.push_back("guidance_rescale");
  if (by_scale && wire.has_guidance_start()) unused.push_back("guidance_start");
  if (by_scale && wire.has_guidance_end()) unused.push_back("guidance_end");
  if (unused.empty()) return;
  resolved.warnings.push_back(absl::StrCat(
      absl::StrJoin(unused, ", "), unused.size() == 1 ? " has" : " have", " no effect: no step is guided, because ",
      by_scale ? "guidance_scale is at most 1" : "no step lies between guidance_start and guidance_end"));
}

}  // namespace

void CheckSampling(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const SamplerSupport* support = CheckSampler(context, resolved, violations);
  CheckSigmaSchedule(context, *support, resolved, violations);
  CheckTimestepSpacing(context, *support, resolved, violations);
  CheckSteps(context, *support, resolved, violations);
  CheckEta(context, *support, resolved, violations);
}

void CheckGuidance(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  if (context.info().conditioning == ConditioningKind::kNone) {
    resolved.guidance_scale = 1.0;
    return RefuseGuidance(context, violations);
  }
  const double scale = wire.has_guidance_scale() ? wire.guidance_scale() : DefaultGuidance(context, resolved);
  CheckNullClass(context, resolved, scale, violations);
  if (violations.CheckReal("guidance_scale", scale, 0.0, kMaxGuidanceScale)) resolved.guidance_scale = scale;
  resolved.guidance_rescale = CheckFraction("guidance_rescale", wire.guidance_rescale(), 0.0, violations);
  resolved.guidance_start = CheckFraction("guidance_start", wire.guidance_start(), 0.0, violations);
  resolved.guidance_end =
      wire.has_guidance_end() ? CheckFraction("guidance_end", wire.guidance_end(), 1.0, violations) : 1.0;
  if (resolved.guidance_start > resolved.guidance_end) {
    violations.Add("guidance_start", ShortestNumber(resolved.guidance_start),
                   absl::StrCat("at most guidance_end, which is ", ShortestNumber(resolved.guidance_end)));
    return;
  }
  const double steps = resolved.steps;
  const bool interval =
      static_cast<int>(resolved.guidance_start * steps) < static_cast<int>(resolved.guidance_end * steps);
  if (context.info().noise_schedule.embeds_guidance) return WarnOfEmbeddedGuidance(interval, resolved);
  if (resolved.guidance_scale <= 1.0 || !interval) WarnOfNoEffect(wire, resolved);
}

}  // namespace stepcast

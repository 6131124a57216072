#include "server/process/model_report.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/string_view.h"
#include "server/catalog/model_description.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

// "859.5 M".
std::string Millions(int64_t count) { return absl::StrFormat("%.1f M", static_cast<double>(count) / 1e6); }

std::string FileNames(const std::vector<std::string>& files) {
  return absl::StrJoin(files, ", ", [](std::string* out, const std::string& file) {
    absl::StrAppend(out, std::filesystem::path(file).filename().string());
  });
}

void Line(std::string& text, absl::string_view name, absl::string_view value) {
  if (!value.empty()) absl::StrAppendFormat(&text, "%-14s %s\n", name, value);
}

std::string Components(const ModelInfo& info) {
  std::string text = "components\n";
  for (const ModelComponent& part : info.components) {
    absl::StrAppendFormat(&text, "  %-16s %-28s %10s  %s -> %s  %s\n", part.name, part.class_name,
                          Millions(part.parameters), absl::StrJoin(part.stored_types, "+"), info.dtype,
                          FileNames(part.files));
  }
  return text;
}

std::string Decisions(const ModelInfo& info) {
  std::string text = "decisions\n";
  for (const ModelDecision& decision : info.decisions) {
    absl::StrAppendFormat(&text, "  %-16s %s  (%s)\n", decision.about, decision.value, decision.source);
  }
  return info.decisions.empty() ? "" : text;
}

std::string Defaults(const ModelInfo& info) {
  const ModelDefaults& defaults = info.defaults;
  std::string text = absl::StrCat(ToAbsl(SamplerName(defaults.sampler)), ", ", defaults.steps, " steps");
  if (defaults.sigma_schedule != SigmaSchedule::kDefault)
    absl::StrAppend(&text, ", ", ToAbsl(SigmaScheduleName(defaults.sigma_schedule)));
  if (defaults.timestep_spacing.has_value())
    absl::StrAppend(&text, ", ", ToAbsl(TimestepSpacingName(*defaults.timestep_spacing)));
  if (!defaults.timesteps.empty()) absl::StrAppend(&text, ", timesteps ", absl::StrJoin(defaults.timesteps, " "));
  if (!defaults.sigmas.empty()) absl::StrAppend(&text, ", sigmas ", absl::StrJoin(defaults.sigmas, " "));
  if (info.conditioning != ConditioningKind::kNone) absl::StrAppend(&text, ", guidance ", defaults.guidance_scale);
  if (defaults.guidance_rescale > 0) absl::StrAppend(&text, ", rescale ", defaults.guidance_rescale);
  if (defaults.eta.has_value()) absl::StrAppend(&text, ", eta ", *defaults.eta);
  if (defaults.clip_skip > 0) absl::StrAppend(&text, ", clip_skip ", defaults.clip_skip);
  absl::StrAppend(&text, ", ", defaults.width, "x", defaults.height);
  return text;
}

}  // namespace

std::string ModelReport(const RegisteredModel& model, const LimitsConfig& limits,
                        const std::vector<std::string>& warnings) {
  const ModelInfo& info = *model.info;
  std::string text;
  Line(text, "model", info.id);
  Line(text, "name", info.display_name == info.id ? "" : info.display_name);
  Line(text, "family", info.family);
  Line(text, "license", info.license);
  Line(text, "sha256", info.sha256);
  Line(text, "parameters", Millions(info.parameter_count));
  Line(text, "computes in", absl::StrCat(info.dtype, " on ", info.device));
  absl::StrAppend(&text, Components(info), Decisions(info));
  Line(text, "defaults", Defaults(info));
  const ModelLimits narrow = NarrowLimits(info, limits);
  Line(text, "sizes", absl::StrCat(narrow.min_side, " to ", narrow.max_side, ", multiples of ", narrow.size_multiple));
  Line(text, "samplers", absl::StrJoin(model.samplers, ", ", [](std::string* out, const SamplerSupport& support) {
         absl::StrAppend(out, ToAbsl(SamplerName(support.sampler)));
       }));
  for (const std::string& warning : warnings) absl::StrAppend(&text, "warning: ", warning, "\n");
  absl::StrAppend(&text, "the model can be served\n");
  return text;
}

void LogModel(const ModelInfo& info) {
  for (const ModelDecision& decision : info.decisions) {
    Log(LogLevel::kInfo, "decision",
        {{"model", info.id}, {"about", decision.about}, {"value", decision.value}, {"source", decision.source}});
  }
}

}  // namespace stepcast

#include "sampling/compile/check_options.h"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

constexpr int kMaxLangevinSteps = 1000;  // of levels, and of steps within one

// Refuses `field` unless `accepted` holds for the sampler; tells for which ones it does.
template <typename Accepted>
absl::Status CheckKnown(std::string_view field, const SamplerDefinition& definition, Accepted accepted) {
  if (accepted(definition.accepts)) return absl::OkStatus();
  std::vector<std::string> names;
  for (const SamplerDefinition* other : AllSamplers()) {
    if (accepted(other->accepts)) names.emplace_back(SamplerName(other->sampler));
  }
  const std::string who =
      names.empty() ? "no sampler takes it" : absl::StrCat("samplers that take it are ", absl::StrJoin(names, ", "));
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: does not go with %s; %s", field, SamplerName(definition.sampler), who));
}

absl::Status CheckCount(std::string_view field, int value, int high) {
  if (value >= 1 && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s: got %d; allowed are 1 to %d", field, value, high));
}

absl::Status CheckNotNegative(std::string_view field, double value) {
  if (std::isfinite(value) && value >= 0.0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: got %g; it must be a finite number, 0 or above", field, value));
}

absl::Status CheckLangevin(const LangevinOptions& options, int steps) {
  if (options.levels) {
    STEPCAST_RETURN_IF_ERROR(CheckCount("sampler_options.langevin.levels", *options.levels, kMaxLangevinSteps));
    if (*options.levels != steps) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "sampler_options.langevin.levels: got %d, each of which is a step, but steps is %d", *options.levels, steps));
    }
  }
  if (options.inner_steps) {
    STEPCAST_RETURN_IF_ERROR(
        CheckCount("sampler_options.langevin.inner_steps", *options.inner_steps, kMaxLangevinSteps));
  }
  if (options.epsilon && !(std::isfinite(*options.epsilon) && *options.epsilon > 0.0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "sampler_options.langevin.epsilon: got %g; it must be a finite number above 0", *options.epsilon));
  }
  return absl::OkStatus();
}

absl::Status CheckDescending(std::string_view field, const std::vector<double>& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    const bool falls = i == 0 ? std::isfinite(list[i]) : list[i] < list[i - 1];
    if (falls && list[i] >= 0.0) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: entry %d is %g; entries must be finite, not negative and strictly descending", field, i, list[i]));
  }
  return absl::OkStatus();
}

absl::Status CheckLists(const SamplerSpec& spec, const SamplerDefinition& definition) {
  if (spec.timesteps.empty() && spec.sigmas.empty()) return absl::OkStatus();
  const std::string_view field = spec.timesteps.empty() ? "sigmas" : "timesteps";
  if (!spec.timesteps.empty()) {
    STEPCAST_RETURN_IF_ERROR(CheckKnown("timesteps", definition, [](const auto& a) { return a.timesteps; }));
    STEPCAST_RETURN_IF_ERROR(CheckDescending("timesteps", spec.timesteps));
  }
  if (!spec.sigmas.empty()) {
    STEPCAST_RETURN_IF_ERROR(CheckKnown("sigmas", definition, [](const auto& a) { return a.sigmas; }));
    STEPCAST_RETURN_IF_ERROR(CheckDescending("sigmas", spec.sigmas));
  }
  if (!spec.timesteps.empty() && !spec.sigmas.empty()) {
    return absl::InvalidArgumentError("sigmas: cannot be set beside timesteps; choose one list");
  }
  if (spec.timestep_spacing || spec.sigma_schedule != SigmaSchedule::kDefault) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: cannot be set beside %s; the list replaces it", field,
                                                      spec.timestep_spacing ? "timestep_spacing" : "sigma_schedule"));
  }
  const int steps = static_cast<int>(spec.timesteps.empty() ? spec.sigmas.size() - 1 : spec.timesteps.size());
  if (spec.steps == steps) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s: the list makes %d steps%s, but steps is %d", field, steps,
                                                    spec.timesteps.empty() ? " (one less than its entries)" : "",
                                                    spec.steps));
}

}  // namespace

absl::Status CheckOptions(const SamplerSpec& spec, const SamplerDefinition& definition) {
  const SamplerOptions& options = spec.options;
  if (options.solver_order) {
    STEPCAST_RETURN_IF_ERROR(
        CheckKnown("sampler_options.solver_order", definition, [](const auto& a) { return a.max_solver_order > 0; }));
    STEPCAST_RETURN_IF_ERROR(
        CheckCount("sampler_options.solver_order", *options.solver_order, definition.accepts.max_solver_order));
  }
  if (options.churn) {
    STEPCAST_RETURN_IF_ERROR(CheckKnown("sampler_options.churn", definition, [](const auto& a) { return a.churn; }));
    STEPCAST_RETURN_IF_ERROR(CheckNotNegative("sampler_options.churn", *options.churn));
  }
  if (options.s_noise) {
    STEPCAST_RETURN_IF_ERROR(CheckKnown("sampler_options.s_noise", definition, [](const auto& a) { return a.churn; }));
    STEPCAST_RETURN_IF_ERROR(CheckNotNegative("sampler_options.s_noise", *options.s_noise));
  }
  if (options.original_inference_steps) {
    STEPCAST_RETURN_IF_ERROR(CheckKnown("sampler_options.original_inference_steps", definition,
                                        [](const auto& a) { return a.original_inference_steps; }));
  }
  if (options.langevin != LangevinOptions()) {
    STEPCAST_RETURN_IF_ERROR(
        CheckKnown("sampler_options.langevin", definition, [](const auto& a) { return a.langevin; }));
    STEPCAST_RETURN_IF_ERROR(CheckLangevin(options.langevin, spec.steps));
  }
  return CheckLists(spec, definition);
}

absl::Status CheckAgainstModel(const SamplerSpec& spec, const ScheduleSettings& settings) {
  const int total = settings.num_train_timesteps;
  if (spec.options.original_inference_steps) {
    STEPCAST_RETURN_IF_ERROR(
        CheckCount("sampler_options.original_inference_steps", *spec.options.original_inference_steps, total));
  }
  if (!spec.timesteps.empty() && spec.timesteps.front() > total - 1.0) {
    return absl::InvalidArgumentError(absl::StrFormat("timesteps: entry 0 is %g; the model was trained on 0 to %d",
                                                      spec.timesteps.front(), total - 1));
  }
  return absl::OkStatus();
}

}  // namespace stepcast::sampling

// What only some samplers know: steps as an explicit list, and options.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/shortest_number.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

// diffusers' default, in every scheduler class of the built samplers.
constexpr int kDefaultTrainTimesteps = 1000;
constexpr int kMaxLangevinCount = 1000;  // of steps at one level
constexpr int kMaxLangevinEvaluations = 10'000;

int TrainTimesteps(const RequestContext& context) {
  return context.info().noise_schedule.num_train_timesteps.value_or(kDefaultTrainTimesteps);
}

// "unset, because SAMPLER_DDIM takes none; SamplerSupport.takes_churn of GetModel tells which do".
std::string NotTaken(Sampler sampler, absl::string_view where) {
  return absl::StrCat("unset, because ", v1::Sampler_Name(ToProto(sampler)), " takes none; SamplerSupport.", where,
                      " of GetModel tells which do");
}

using Numbers = google::protobuf::RepeatedField<double>;

// The index of the first entry that is not finite, negative, above `largest` or not below the one before it; -1.
int FirstWrongEntry(const Numbers& list, double largest) {
  for (int i = 0; i < list.size(); ++i) {
    const double above = i == 0 ? largest : list[i - 1];
    const bool falls = i == 0 ? list[i] <= above : list[i] < above;
    if (!std::isfinite(list[i]) || list[i] < 0.0 || !falls) return i;
  }
  return -1;
}

// Checks the entries of an explicit list that makes `steps` steps; returns whether they are fine.
bool CheckList(const RequestContext& context, absl::string_view field, const Numbers& list, int steps, double largest,
               FieldViolations& violations) {
  const int most = std::min(context.model_limits.max_steps, TrainTimesteps(context));
  if (steps < 1 || steps > most) {
    violations.Add(field, absl::StrCat(list.size(), " entries, ", steps, " steps"),
                   absl::StrCat("1 to ", most, " steps, see ModelLimits.max_steps of GetModel"));
    return false;
  }
  const int wrong = FirstWrongEntry(list, largest);
  if (wrong < 0) return true;
  violations.Add(field, absl::StrCat(ShortestNumber(list[wrong]), " at entry ", wrong),
                 std::isinf(largest) ? std::string("finite numbers, 0 or more, strictly descending")
                                     : absl::StrCat("training timesteps 0 to ", largest, ", strictly descending"));
  return false;
}

// A list replaces the spacing of steps, so that nothing else may describe it.
void RefuseSpacing(const v1::GenerateRequest& wire, absl::string_view field, int steps, FieldViolations& violations) {
  const std::string unset = absl::StrCat("unset beside ", field);
  if (wire.timestep_spacing() != v1::TIMESTEP_SPACING_UNSPECIFIED) {
    violations.Add("timestep_spacing", v1::TimestepSpacing_Name(wire.timestep_spacing()), unset);
  }
  if (wire.sigma_schedule() != v1::SIGMA_SCHEDULE_UNSPECIFIED) {
    violations.Add("sigma_schedule", v1::SigmaSchedule_Name(wire.sigma_schedule()), unset);
  }
  if (wire.has_steps() && wire.steps() != steps) {
    violations.Add("steps", absl::StrCat(wire.steps()), absl::StrCat(steps, ", the steps of ", field, ", or unset"));
  }
}

// What every option is checked with.
struct OptionChecks {
  Sampler sampler;
  FieldViolations& violations;

  // Refuses `field` unless the sampler knows it.
  template <typename Value>
  bool Known(bool known, absl::string_view field, Value value, absl::string_view where) const {
    if (!known) violations.Add(field, absl::StrCat(value), NotTaken(sampler, where));
    return known;
  }
  bool Real(absl::string_view field, double value) const {
    return violations.CheckReal(field, value, 0.0, std::numeric_limits<double>::max());
  }
};

void CheckLangevin(const OptionChecks& checks, const v1::LangevinOptions& wire, int steps, LangevinOptions& resolved) {
  if (wire.has_levels()) resolved.levels = steps;  // checked with the steps
  if (wire.has_inner_steps() &&
      checks.violations.CheckRange("sampler_options.langevin.inner_steps", wire.inner_steps(), 1, kMaxLangevinCount)) {
    resolved.inner_steps = wire.inner_steps();
  }
  // Each is an evaluation, and a program holds all of them.
  const int levels = resolved.levels.value_or(steps);
  if (levels * resolved.inner_steps.value_or(1) > kMaxLangevinEvaluations) {
    checks.violations.Add("sampler_options.langevin.inner_steps", absl::StrCat(*resolved.inner_steps),
                          absl::StrCat("at most ", kMaxLangevinEvaluations / levels, " at ", levels, " levels"));
  }
  if (wire.has_epsilon()) {
    if (std::isfinite(wire.epsilon()) && wire.epsilon() > 0.0) {
      resolved.epsilon = wire.epsilon();
    } else {
      checks.violations.Add("sampler_options.langevin.epsilon", absl::StrCat(wire.epsilon()),
                            "a finite number above 0");
    }
  }
  if (wire.has_final_denoise()) resolved.final_denoise = wire.final_denoise();
}

// Steps of a request without a list. Levels of annealed Langevin dynamics are steps, and say it as a list does.
int StepsOf(const RequestContext& context, const SamplerSupport& support, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const v1::LangevinOptions& langevin = wire.sampler_options().langevin();
  const int steps = wire.has_steps() ? wire.steps() : context.info().defaults.steps;
  if (!support.options.langevin || !langevin.has_levels()) return steps;
  const int levels = langevin.levels();
  const int most = std::min(context.model_limits.max_steps, TrainTimesteps(context));
  if (!violations.CheckRange("sampler_options.langevin.levels", levels, 1, most, "ModelLimits.max_steps of GetModel")) {
    return steps;
  }
  if (wire.has_steps() && steps != levels) {
    violations.Add("steps", absl::StrCat(steps),
                   absl::StrCat(levels, ", the levels of sampler_options.langevin, or unset"));
  }
  return levels;
}

}  // namespace

void CheckSteps(const RequestContext& context, const SamplerSupport& support, GenerationRequest& resolved,
                FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  if (wire.timesteps().empty() && wire.sigmas().empty()) {
    const int steps = StepsOf(context, support, violations);
    if (violations.CheckRange("steps", steps, 1, std::min(context.model_limits.max_steps, TrainTimesteps(context)),
                              "ModelLimits.max_steps of GetModel")) {
      resolved.steps = steps;
    }
    return;
  }
  const bool by_time = !wire.timesteps().empty();
  const absl::string_view field = by_time ? "timesteps" : "sigmas";
  const Numbers& list = by_time ? wire.timesteps() : wire.sigmas();
  // The last noise level is where the last step ends.
  const int steps = by_time ? list.size() : list.size() - 1;
  if (by_time && !wire.sigmas().empty()) violations.Add("sigmas", "a list", "unset beside timesteps");
  if (!(by_time ? support.options.timesteps : support.options.sigmas)) {
    violations.Add(field, absl::StrCat(list.size(), " entries"),
                   NotTaken(support.sampler, by_time ? "takes_timesteps" : "takes_sigmas"));
    return;
  }
  RefuseSpacing(wire, field, steps, violations);
  const double largest = by_time ? TrainTimesteps(context) - 1.0 : std::numeric_limits<double>::infinity();
  if (!CheckList(context, field, list, steps, largest, violations)) return;
  resolved.steps = steps;
  resolved.sigma_schedule = SigmaSchedule::kDefault;
  resolved.timestep_spacing = std::nullopt;
  (by_time ? resolved.timesteps : resolved.sigmas).assign(list.begin(), list.end());
}

void CheckSamplerOptions(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  if (!context.wire.has_sampler_options() || violations.Has("sampler")) return;
  const v1::SamplerOptions& wire = context.wire.sampler_options();
  const sampling::AcceptedOptions& accepts = context.model.FindSampler(resolved.sampler)->options;
  const OptionChecks checks{resolved.sampler, violations};
  SamplerOptions& options = resolved.sampler_options;
  if (wire.has_solver_order() &&
      checks.Known(accepts.max_solver_order > 0, "sampler_options.solver_order", wire.solver_order(),
                   "max_solver_order") &&
      violations.CheckRange("sampler_options.solver_order", wire.solver_order(), 1, accepts.max_solver_order,
                            "SamplerSupport.max_solver_order of GetModel")) {
    options.solver_order = wire.solver_order();
  }
  if (wire.has_churn() && checks.Known(accepts.churn, "sampler_options.churn", wire.churn(), "takes_churn") &&
      checks.Real("sampler_options.churn", wire.churn())) {
    options.churn = wire.churn();
  }
  if (wire.has_s_noise() && checks.Known(accepts.churn, "sampler_options.s_noise", wire.s_noise(), "takes_churn") &&
      checks.Real("sampler_options.s_noise", wire.s_noise())) {
    options.s_noise = wire.s_noise();
  }
  if (wire.has_original_inference_steps() &&
      checks.Known(accepts.original_inference_steps, "sampler_options.original_inference_steps",
                   wire.original_inference_steps(), "takes_original_inference_steps") &&
      violations.CheckRange("sampler_options.original_inference_steps", wire.original_inference_steps(), 1,
                            TrainTimesteps(context))) {
    options.original_inference_steps = wire.original_inference_steps();
  }
  if (wire.has_langevin() && checks.Known(accepts.langevin, "sampler_options.langevin", "options", "takes_langevin")) {
    CheckLangevin(checks, wire.langevin(), resolved.steps, options.langevin);
  }
}

}  // namespace stepcast

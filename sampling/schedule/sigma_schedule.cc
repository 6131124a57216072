#include "sampling/schedule/sigma_schedule.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "sampling/schedule/incomplete_beta.h"
#include "sampling/schedule/reference_log.h"

namespace stepcast::sampling {
namespace {

SigmaRange RangeOf(const NoiseSchedule& schedule, const SigmaStepsRule& rule, const std::vector<double>& spaced) {
  SigmaRange range{spaced.back(), spaced.front()};
  if (rule.table_ends) range = {schedule.sigmas().front(), schedule.sigmas().back()};
  range.sigma_min = rule.sigma_min.value_or(range.sigma_min);
  range.sigma_max = rule.sigma_max.value_or(range.sigma_max);
  return range;
}

std::vector<double> Spread(SigmaSchedule schedule, SigmaRange range, int steps) {
  switch (schedule) {
    case SigmaSchedule::kKarras:
      return KarrasSigmas(range, steps);
    case SigmaSchedule::kBeta:
      return BetaSigmas(range, steps);
    case SigmaSchedule::kLu:
      return LuSigmas(range, steps);
    case SigmaSchedule::kExponential:
    case SigmaSchedule::kDefault:
      break;
  }
  return ExponentialSigmas(range, steps);
}

absl::Status CheckFalling(const std::vector<double>& sigmas) {
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const bool falls = i == 0 || sigmas[i] <= sigmas[i - 1];
    if (!(std::isfinite(sigmas[i]) && sigmas[i] > 0.0 && falls)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("sigma_schedule: noise level %d is %g; levels must be finite, positive and falling (see "
                          "sigma_min and sigma_max of the model's scheduler_config.json)",
                          i, sigmas[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<double> KarrasSigmas(SigmaRange range, int steps, double rho) {
  const double low = std::pow(range.sigma_min, 1.0 / rho);
  const double high = std::pow(range.sigma_max, 1.0 / rho);
  std::vector<double> sigmas = NumpyLinspace(0.0, 1.0, steps);
  for (double& value : sigmas) value = std::pow(high + value * (low - high), rho);
  return sigmas;
}

std::vector<double> ExponentialSigmas(SigmaRange range, int steps) {
  std::vector<double> sigmas = NumpyLinspace(std::log(range.sigma_max), std::log(range.sigma_min), steps);
  for (double& value : sigmas) value = std::exp(value);
  return sigmas;
}

std::vector<double> LuSigmas(SigmaRange range, int steps) {
  // The reference takes both ends from its table of float32 logarithms: which timestep a level belongs to hangs on it.
  const double low = ReferenceLog(static_cast<float>(range.sigma_min));
  const double high = ReferenceLog(static_cast<float>(range.sigma_max));
  std::vector<double> sigmas = NumpyLinspace(0.0, 1.0, steps);
  for (double& value : sigmas) value = std::exp(high + value * (low - high));
  return sigmas;
}

std::vector<double> BetaSigmas(SigmaRange range, int steps) {
  constexpr double kShape = 0.6;
  std::vector<double> sigmas = NumpyLinspace(0.0, 1.0, steps);
  for (double& value : sigmas) {
    value = range.sigma_min + BetaQuantile(kShape, kShape, 1.0 - value) * (range.sigma_max - range.sigma_min);
  }
  return sigmas;
}

double InterpolateTable(absl::Span<const float> table, double t) {
  const double last = static_cast<double>(table.size() - 1);
  if (t <= 0.0) return table.front();
  if (t >= last) return table.back();
  const auto low = static_cast<size_t>(t);
  const double slope = static_cast<double>(table[low + 1]) - static_cast<double>(table[low]);
  return slope * (t - static_cast<double>(low)) + table[low];
}

SigmaToTimestep::SigmaToTimestep(absl::Span<const float> sigmas) {
  // The reference's logarithms: the ends decide which whole timestep is meant.
  log_sigmas_.reserve(sigmas.size());
  for (const float sigma : sigmas) log_sigmas_.push_back(ReferenceLog(sigma));
}

double SigmaToTimestep::operator()(double sigma) const {
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  // The last entry that is not above: a table with zero terminal SNR need not rise at its very end.
  const int last_low = static_cast<int>(log_sigmas_.size()) - 2;
  int low_index = last_low + 1;
  while (low_index > 0 && log_sigmas_[low_index] > log_sigma) --low_index;
  low_index = std::min(low_index, last_low);
  const double low = log_sigmas_[low_index];
  const double high = log_sigmas_[low_index + 1];
  const double weight = std::clamp((low - log_sigma) / (low - high), 0.0, 1.0);
  return (1.0 - weight) * low_index + weight * (low_index + 1);
}

absl::StatusOr<SigmaSteps> SpreadSigmas(const NoiseSchedule& schedule, const SigmaStepsRule& rule, int steps) {
  std::vector<double> timesteps = SpacedTimesteps(rule.spacing, steps);
  std::vector<double> sigmas;
  for (const double t : timesteps) sigmas.push_back(InterpolateTable(schedule.sigmas(), t));
  if (rule.log_linear) {
    const absl::Span<const float> table = schedule.sigmas();
    const std::vector<float> logs = TorchLinspace(std::log(table.back()), std::log(table.front()), steps + 1);
    sigmas.clear();
    for (const float value : logs) sigmas.push_back(std::exp(value));
  }
  if (rule.schedule != SigmaSchedule::kDefault) {
    sigmas = Spread(rule.schedule, RangeOf(schedule, rule, sigmas), steps);
    if (absl::Status status = CheckFalling(sigmas); !status.ok()) return status;
    const SigmaToTimestep to_timestep(schedule.sigmas());
    const bool rounds =
        rule.round_karras && (rule.schedule == SigmaSchedule::kKarras || rule.schedule == SigmaSchedule::kLu);
    for (int i = 0; i < steps; ++i) {
      timesteps[i] = to_timestep(sigmas[i]);
      if (rounds) timesteps[i] = std::nearbyint(timesteps[i]);
    }
  } else if (timesteps.back() < 0.0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("steps: %d steps do not fit between the timesteps that the model's lambda_min_clipped leaves; "
                        "choose fewer steps or another timestep_spacing",
                        steps));
  }
  SigmaSteps result;
  for (const double t : timesteps) {
    result.timesteps.push_back(static_cast<float>(rule.integer_timesteps ? std::trunc(t) : t));
  }
  result.sigmas.assign(sigmas.begin(), sigmas.end());
  if (static_cast<int>(sigmas.size()) == steps) {
    const bool own_last = rule.own_last_sigma && rule.schedule != SigmaSchedule::kDefault;
    const float smallest = own_last ? result.sigmas.back() : schedule.sigmas().front();
    result.sigmas.push_back(rule.final_sigmas == FinalSigmas::kSigmaMin ? smallest : 0.0f);
  }
  return result;
}

absl::StatusOr<SigmaSteps> ExplicitTimesteps(const NoiseSchedule& schedule, const SigmaStepsRule& rule,
                                             absl::Span<const double> timesteps) {
  SigmaSteps result;
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const double t = timesteps[i];
    if (rule.integer_timesteps && t != std::trunc(t)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("timesteps: entry %d is %g; this sampler takes whole timesteps only", i, t));
    }
    result.timesteps.push_back(static_cast<float>(t));
    result.sigmas.push_back(static_cast<float>(InterpolateTable(schedule.sigmas(), t)));
  }
  result.sigmas.push_back(rule.final_sigmas == FinalSigmas::kSigmaMin ? schedule.sigmas().front() : 0.0f);
  return result;
}

absl::StatusOr<SigmaSteps> ExplicitSigmas(const NoiseSchedule& schedule, const SigmaStepsRule& rule,
                                          absl::Span<const double> sigmas) {
  const SigmaToTimestep to_timestep(schedule.sigmas());
  SigmaSteps result;
  result.sigmas.assign(sigmas.begin(), sigmas.end());
  for (size_t i = 0; i + 1 < result.sigmas.size(); ++i) {
    const double t = to_timestep(result.sigmas[i]);
    if (!std::isfinite(t)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("sigmas: entry %d, %g, has no timestep in this model's noise schedule", i, sigmas[i]));
    }
    result.timesteps.push_back(static_cast<float>(rule.integer_timesteps ? std::trunc(t) : t));
  }
  return result;
}

}  // namespace stepcast::sampling

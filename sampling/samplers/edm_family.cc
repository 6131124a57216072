#include "sampling/samplers/edm_family.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "sampling/schedule/sigma_schedule.h"

namespace stepcast::sampling {
namespace {

// The paper's, and the defaults of diffusers' classes.
constexpr double kSigmaMin = 0.002;
constexpr double kSigmaMax = 80.0;

SigmaRange RangeOf(const ScheduleSettings& settings) {
  return {settings.sigma_min.value_or(kSigmaMin), settings.sigma_max.value_or(kSigmaMax)};
}

}  // namespace

absl::StatusOr<std::vector<float>> EdmSigmas(const SamplerInput& input) {
  const ScheduleSettings& settings = input.settings;
  const SigmaRange range = RangeOf(settings);
  if (!(range.sigma_min < range.sigma_max)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "scheduler_config.json: sigma_min is %g; it must be below sigma_max, %g", range.sigma_min, range.sigma_max));
  }
  if (settings.prediction_type == PredictionType::kSample) {
    return absl::InvalidArgumentError(
        absl::StrFormat("sampler: %s needs a model whose prediction_type is epsilon or v_prediction; this one predicts "
                        "the sample itself",
                        SamplerName(input.spec.sampler)));
  }
  const std::vector<double>& list = input.spec.sigmas;
  if (!list.empty()) return std::vector<float>(list.begin(), list.end());
  const SigmaSchedule schedule =
      settings.sigma_schedule == SigmaSchedule::kDefault ? settings.edm_sigma_schedule : settings.sigma_schedule;
  const bool exponential = schedule == SigmaSchedule::kExponential;
  const std::vector<double> spread =
      exponential ? ExponentialSigmas(range, input.steps()) : KarrasSigmas(range, input.steps(), settings.rho);
  std::vector<float> sigmas(spread.begin(), spread.end());
  // diffusers counts exponential levels from the small end, and one step alone has that end only.
  if (exponential && input.steps() == 1) sigmas[0] = static_cast<float>(range.sigma_min);
  // The classes differ where there is one step alone: one ends where it starts, the other at sigma_min.
  const bool to_sigma_min = input.spec.sampler == Sampler::kEdmDpmpp;
  const float smallest = to_sigma_min ? static_cast<float>(range.sigma_min) : sigmas.back();
  sigmas.push_back(settings.final_sigmas_type == FinalSigmas::kZero ? 0.0f : smallest);
  return sigmas;
}

Start EdmStart(const SamplerInput& input, const std::vector<float>& sigmas) {
  if (input.from_image()) return {1.0f, sigmas[input.first_step]};
  const double largest = input.spec.sigmas.empty() ? RangeOf(input.settings).sigma_max : input.spec.sigmas.front();
  return {0.0f, static_cast<float>(std::hypot(largest, 1.0))};
}

double EdmTimestep(double sigma) { return 0.25 * std::log(sigma); }

double EdmInputScale(double sigma, double sigma_data) { return 1.0 / std::hypot(sigma, sigma_data); }

PredictionForm EdmX0(const ScheduleSettings& settings, double sigma) {
  const double data = settings.sigma_data;
  const double variance = sigma * sigma + data * data;
  const double out = sigma * data / std::sqrt(variance);
  return {data * data / variance, settings.prediction_type == PredictionType::kVPrediction ? -out : out};
}

}  // namespace stepcast::sampling

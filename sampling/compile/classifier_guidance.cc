#include "sampling/compile/classifier_guidance.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace stepcast::sampling {
namespace {

// alpha and sigma of the noise level that the denoiser is told, between entries of the table in the logarithm of
// sigma / alpha, as fractional timesteps mean it.
struct Level {
  double alpha = 1.0;
  double sigma = 0.0;
};

Level LevelAt(const NoiseSchedule& schedule, double timestep) {
  const absl::Span<const float> sigmas = schedule.sigmas();
  const double last = static_cast<double>(sigmas.size() - 1);
  const double t = std::clamp(timestep, 0.0, last);
  const size_t low = static_cast<size_t>(t);
  const size_t high = std::min(low + 1, sigmas.size() - 1);
  const double weight = t - static_cast<double>(low);
  const double at_low = std::log(sigmas[low]);
  const double ratio = weight == 0.0 ? sigmas[low] : std::exp(at_low + weight * (std::log(sigmas[high]) - at_low));
  const double alpha = 1.0 / std::sqrt(ratio * ratio + 1.0);
  return {alpha, std::isinf(ratio) ? 1.0 : ratio * alpha};
}

double Coefficient(PredictionType prediction, const Level& level) {
  switch (prediction) {
    case PredictionType::kEpsilon:
      return -level.sigma;
    case PredictionType::kVPrediction:
      return -level.sigma / level.alpha;
    case PredictionType::kSample:
      return level.sigma * level.sigma / level.alpha;
  }
  return 0.0;
}

// Samplers whose timesteps are not those of the model's schedule.
bool HasOwnLevels(Sampler sampler) {
  return sampler == Sampler::kEdmEuler || sampler == Sampler::kEdmDpmpp || sampler == Sampler::kSdeVe;
}

}  // namespace

absl::Status SetClassifierGuidance(double scale, const ScheduleSettings& settings, const NoiseSchedule& schedule,
                                   SamplingProgram& program) {
  if (scale == 0.0) return absl::OkStatus();
  if (settings.predicts_score || HasOwnLevels(program.sampler)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("classifier_scale: %s has noise levels of its own, which no classifier was trained at",
                        SamplerName(program.sampler)));
  }
  for (Evaluation& evaluation : program.evaluations) {
    const double coefficient = scale * Coefficient(settings.prediction_type, LevelAt(schedule, evaluation.timestep));
    evaluation.classifier_coef = static_cast<float>(coefficient);
    if (std::isfinite(evaluation.classifier_coef)) continue;
    return absl::InvalidArgumentError(
        "classifier_scale: the first step of this model is pure noise, where classifier guidance has no bound");
  }
  return absl::OkStatus();
}

}  // namespace stepcast::sampling

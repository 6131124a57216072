#include "sampling/samplers/sampler.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace stepcast::sampling {

Post PostOf(const ScheduleSettings& settings) {
  return settings.thresholding ? ThresholdingOf(settings) : ClipOf(settings);
}

Post ClipOf(const ScheduleSettings& settings) {
  if (settings.clip_sample) return {PostKind::kClip, static_cast<float>(settings.clip_sample_range), 0.0f};
  return {};
}

Post ThresholdingOf(const ScheduleSettings& settings) {
  if (!settings.thresholding) return {};
  return {PostKind::kThreshold, static_cast<float>(settings.sample_max_value),
          static_cast<float>(settings.dynamic_thresholding_ratio)};
}

Start VariancePreservingStart(const SamplerInput& input, double alpha_cumprod) {
  if (!input.from_image()) return {0.0f, 1.0f};
  return VariancePreservingLevel(alpha_cumprod);
}

Level VariancePreservingLevel(double alpha_cumprod) {
  return {static_cast<float>(std::sqrt(alpha_cumprod)), static_cast<float>(std::sqrt(1.0 - alpha_cumprod))};
}

absl::StatusOr<std::vector<int>> WholeTimesteps(absl::Span<const double> list) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == std::trunc(list[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("timesteps: entry %d is %g; this sampler takes whole timesteps only", i, list[i]));
  }
  return std::vector<int>(list.begin(), list.end());
}

absl::StatusOr<std::vector<int>> TableTimesteps(const SamplerInput& input) {
  if (!input.spec.timesteps.empty()) return WholeTimesteps(input.spec.timesteps);
  const SpacingRule rule{.spacing = input.settings.timestep_spacing,
                         .num_train_timesteps = input.settings.num_train_timesteps,
                         .steps_offset = input.settings.steps_offset};
  std::vector<int> timesteps;
  for (const double t : SpacedTimesteps(rule, input.steps())) {
    if (t < 0.0 || t >= rule.num_train_timesteps) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "steps: %d steps with %s spacing and steps_offset %d reach timestep %g; the model was trained on 0 to %d",
          input.steps(), TimestepSpacingName(rule.spacing), rule.steps_offset, t, rule.num_train_timesteps - 1));
    }
    timesteps.push_back(static_cast<int>(t));
  }
  return timesteps;
}

}  // namespace stepcast::sampling

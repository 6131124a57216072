#include "sampling/samplers/consistency_family.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace stepcast::sampling {

absl::StatusOr<std::vector<int>> DistilledTimesteps(const SamplerInput& input, bool all_timesteps) {
  if (!input.spec.timesteps.empty()) return WholeTimesteps(input.spec.timesteps);
  const int total = input.settings.num_train_timesteps;
  const int original = input.spec.options.original_inference_steps.value_or(input.settings.original_inference_steps);
  const int steps = input.steps();
  const int stride = all_timesteps ? 1 : total / original;
  const int count = static_cast<int>((all_timesteps ? total : original) * input.schedule_share);
  if (steps > std::min(original, count)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("steps: got %d; %s allows at most original_inference_steps%s, which is %d", steps,
                        SamplerName(input.spec.sampler), input.schedule_share < 1.0 ? " times strength" : "",
                        std::min(original, count)));
  }
  std::vector<int> timesteps;
  for (int i = 0; i < steps; ++i) {
    const int skipped = static_cast<int>(static_cast<double>(i) * (static_cast<double>(count) / steps));
    timesteps.push_back((count - skipped) * stride - 1);
  }
  return timesteps;
}

SamplerDefinition DistilledDefinition(Sampler sampler, absl::Status (*build)(const SamplerInput&, ProgramBuilder&)) {
  return {
      .sampler = sampler,
      .defaults = {.scheduler_class = sampler == Sampler::kTcd ? "TCDScheduler" : "LCMScheduler",
                   .beta_start = 0.00085,
                   .beta_end = 0.012,
                   .beta_schedule = BetaSchedule::kScaledLinear,
                   .timestep_spacing = TimestepSpacing::kLeading,
                   .zero_snr = ZeroSnr::kExact},
      .accepts = {.original_inference_steps = true, .timesteps = true},
      .build = build,
  };
}

}  // namespace stepcast::sampling

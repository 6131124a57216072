#include "sampling/compile/inversion.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "sampling/program/program_builder.h"
#include "sampling/schedule/prediction.h"

namespace stepcast::sampling {

absl::StatusOr<SamplingProgram> Invert(const SamplingProgram& painting, const ScheduleSettings& settings,
                                       const NoiseSchedule& schedule) {
  const auto alphas = schedule.alphas_cumprod();
  std::set<int> timesteps;  // ascending, each once
  for (const Evaluation& evaluation : painting.evaluations) {
    const auto timestep = static_cast<int>(std::lround(evaluation.timestep));
    if (timestep < 0 || timestep >= static_cast<int>(alphas.size()) || settings.predicts_score) {
      return absl::InvalidArgumentError(
          absl::StrFormat("sampler: %s paints no picture that is inverted", SamplerName(painting.sampler)));
    }
    timesteps.insert(timestep);
  }
  ProgramBuilder builder(painting.sampler, 0);
  builder.set_start({.image_coef = 1.0f, .noise_coef = 0.0f});
  double from = settings.set_alpha_to_one ? 1.0 : static_cast<double>(alphas[0]);
  int step = 0;
  for (const int timestep : timesteps) {
    const double to = alphas[static_cast<size_t>(timestep)];
    // Asked at the noisier end, as if the latents were there already.
    builder.Evaluate(step++, timestep);
    builder.SetLevel({static_cast<float>(std::sqrt(from)), static_cast<float>(std::sqrt(1.0 - from))});
    const PredictionForm noise = PredictNoise(settings.prediction_type, std::sqrt(from), std::sqrt(1.0 - from));
    const LinearForm x0 =
        builder.PredictX0(PredictX0(settings.prediction_type, std::sqrt(from), std::sqrt(1.0 - from)));
    builder.Assign(Slot::kLatents, std::sqrt(to) * x0 + std::sqrt(1.0 - to) * builder.Combine(noise));
    from = to;
  }
  return std::move(builder).Build();
}

void StartInverted(SamplingProgram& painting) {
  const Level& level = painting.evaluations.front().level;
  painting.start = {.image_coef = std::hypot(level.image_coef, level.noise_coef), .noise_coef = 0.0f};
}

}  // namespace stepcast::sampling

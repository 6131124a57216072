#pragma once
// What the score-based samplers share: they work on x = x0 + sigma * noise and need the score, the gradient of the log
// density of x. Denoisers that predict noise, v or x0 give it through the change of variables x = latents *
// sqrt(sigma^2 + 1); those of ScoreSdeVe models give it directly and are told sigma.

#include "sampling/samplers/sampler.h"
#include "sampling/schedule/sigma_schedule.h"

namespace stepcast::sampling {

// How a denoiser is asked at one noise level, and what its output means.
struct VeLevel {
  double sigma;
  double timestep;
  double input_scale;
  PredictionForm x0;
  PredictionForm score;
};

class VeLevels {
 public:
  explicit VeLevels(const SamplerInput& input);

  VeLevel At(double sigma) const;

  // The model's noise levels within `limits`; sigma_min and sigma_max of its configuration win over both.
  SigmaRange Range(SigmaRange limits) const;

 private:
  const ScheduleSettings& settings_;
  SigmaRange table_;
  SigmaToTimestep to_timestep_;
};

}  // namespace stepcast::sampling

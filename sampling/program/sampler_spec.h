#pragma once
// What a request asks of a sampler.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/sampler_options.h"
#include "core/sampling_types.h"

namespace stepcast::sampling {

// A picture is inverted by one program, which ascends to the noise it might have come from, and painted from there by
// another (Song et al. 2021, "Denoising diffusion implicit models", section 4.3).
enum class Inversion : uint8_t { kNone, kInverts, kPaintsInverted };

// What a request asks of the sampler. Ranges are those of the API; Compile checks what only it can know.
struct SamplerSpec {
  Sampler sampler = Sampler::kDdim;
  int steps = 20;                                          // 1 .. training timesteps
  SigmaSchedule sigma_schedule = SigmaSchedule::kDefault;  // kDefault: the model's for this sampler, else none
  std::optional<TimestepSpacing> timestep_spacing =
      std::nullopt;                          // nullopt: the model's, else the sampler class's default
  std::optional<double> eta = std::nullopt;  // 0 .. 1; nullopt: the sampler's own
  double guidance_scale = 1.0;               // <= 1: no classifier-free guidance
  double guidance_rescale = 0.0;             // 0 .. 1
  double guidance_start = 0.0;               // guided iff int(start * n) <= step < int(end * n), n = executed steps
  double guidance_end = 1.0;
  double classifier_scale = 0.0;  // >= 0; 0: no classifier guidance
  // Image-to-image: floor(steps * strength) steps run, from the encoded image with the noise of the first of them.
  // In (0, 1]. nullopt: text-to-image, all steps from pure noise.
  std::optional<double> strength = std::nullopt;
  // Which of the two programs of an inverted picture; their steps are equal, and `strength` is unset.
  Inversion inversion = Inversion::kNone;
  SamplerOptions options = {};
  // Explicit lists in place of spacing and sigma schedule; at most one of them, strictly descending. `steps` must equal
  // their number of steps: timesteps.size(), or sigmas.size() - 1, for the last sigma (0 allowed) ends the last step.
  std::vector<double> timesteps = {};
  std::vector<double> sigmas = {};

  friend bool operator==(const SamplerSpec&, const SamplerSpec&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const SamplerSpec& s) {
    return H::combine(std::move(h), s.sampler, s.steps, s.sigma_schedule, s.timestep_spacing, s.eta, s.guidance_scale,
                      s.guidance_rescale, s.guidance_start, s.guidance_end, s.classifier_scale, s.strength, s.inversion,
                      s.options, s.timesteps, s.sigmas);
  }
};

}  // namespace stepcast::sampling

#pragma once
// What only some samplers let a request choose.

#include <optional>
#include <utility>

namespace stepcast {

// Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1). An empty optional means the sampler's default.
struct LangevinOptions {
  std::optional<int> levels = std::nullopt;          // noise levels, 1..1000
  std::optional<int> inner_steps = std::nullopt;     // Langevin steps per level, 1..1000
  std::optional<double> epsilon = std::nullopt;      // step size at the last level, > 0
  std::optional<bool> final_denoise = std::nullopt;  // whether the last estimate of the clean latents is the result

  friend bool operator==(const LangevinOptions&, const LangevinOptions&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const LangevinOptions& o) {
    return H::combine(std::move(h), o.levels, o.inner_steps, o.epsilon, o.final_denoise);
  }
};

// What only some samplers know. An empty optional means the sampler's default; a sampler refuses what it lacks.
struct SamplerOptions {
  std::optional<int> solver_order =
      std::nullopt;                              // 1..3; multistep and singlestep DPM-Solver++, UniPC, DEIS, LMS (1..4)
  std::optional<double> churn = std::nullopt;    // >= 0; stochasticity of EULER and EDM_EULER (Karras et al. 2022)
  std::optional<double> s_noise = std::nullopt;  // >= 0; scale of the noise that churn adds
  std::optional<int> original_inference_steps =
      std::nullopt;               // LCM, TCD: steps of the distillation, 1 .. training timesteps
  LangevinOptions langevin = {};  // ANNEALED_LANGEVIN

  friend bool operator==(const SamplerOptions&, const SamplerOptions&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const SamplerOptions& o) {
    return H::combine(std::move(h), o.solver_order, o.churn, o.s_noise, o.original_inference_steps, o.langevin);
  }
};

}  // namespace stepcast

#pragma once
// What a file of this folder defines: one sampler.

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/sampling_types.h"
#include "sampling/program/program_builder.h"
#include "sampling/program/sampler_spec.h"
#include "sampling/program/sampling_program.h"
#include "sampling/schedule/class_defaults.h"
#include "sampling/schedule/noise_schedule.h"

namespace stepcast::sampling {

// Everything a sampler may know. Lives only while it builds.
struct SamplerInput {
  const SamplerSpec& spec;
  const ScheduleSettings& settings;  // spacing and sigma schedule of the request already applied
  const NoiseSchedule& schedule;
  int first_step = 0;                      // steps before it are skipped (image-to-image)
  std::optional<double> default_eta = {};  // of the sampler
  // Of a distilled schedule, whose steps all run: latent consistency models take strength for that.
  double schedule_share = 1.0;

  int steps() const { return spec.steps; }
  bool from_image() const { return spec.strength.has_value(); }
  double eta() const { return spec.eta.value_or(default_eta.value_or(0.0)); }
};

// What a request may set beside steps, spacing and schedule; Compile refuses the rest by name.
struct AcceptedOptions {
  int max_solver_order = 0;               // sampler_options.solver_order: 1 .. this; 0: no such option
  bool churn = false;                     // sampler_options.churn and s_noise
  bool original_inference_steps = false;  // sampler_options.original_inference_steps
  bool langevin = false;                  // sampler_options.langevin
  bool timesteps = false;                 // an explicit list of timesteps
  bool sigmas = false;                    // an explicit list of noise levels
};

// One sampler: which diffusers class it stands for, what a request may ask of it, and how it is compiled.
//
// `build` opens one evaluation per denoiser call, for the steps first_step .. steps - 1 of the full list, numbered
// from 0, and sets the start. It leaves guidance to Compile.
struct SamplerDefinition {
  Sampler sampler;
  ClassDefaults defaults;
  std::vector<SigmaSchedule> sigma_schedules = {SigmaSchedule::kDefault};  // that a request may name
  bool configures_sigmas = false;          // the class reads use_karras_sigmas and its kin from the model's config
  bool takes_score = false;                // goes with denoisers that predict the score (ScoreSdeVe)
  std::optional<double> default_eta = {};  // of requests that name none; nullopt: it has no eta
  // For models of Karras et al. 2022, whose denoiser is told and returns other quantities than every other model's.
  bool for_edm_models = false;
  AcceptedOptions accepts = {};
  int history = 0;  // values of earlier evaluations it reads, see ProgramBuilder
  absl::Status (*build)(const SamplerInput& input, ProgramBuilder& builder);
};

// The post of classes that know clip_sample and thresholding; the latter wins.
Post PostOf(const ScheduleSettings& settings);

// Only clip_sample (Heun).
Post ClipOf(const ScheduleSettings& settings);

// Only thresholding (DPM-Solver).
Post ThresholdingOf(const ScheduleSettings& settings);

// The start of classes that paint in the model's own variance-preserving space: pure noise, or the image with the
// noise of cumulative alpha `alpha_cumprod`.
Start VariancePreservingStart(const SamplerInput& input, double alpha_cumprod);

// That image with its noise.
Level VariancePreservingLevel(double alpha_cumprod);

// The request's explicit `timesteps`, at least one.
// Errors: INVALID_ARGUMENT naming `timesteps` when one is fractional.
absl::StatusOr<std::vector<int>> WholeTimesteps(absl::Span<const double> list);

// Whole timesteps of a class that indexes the table of cumulative alphas with them (DDPM, DDIM): the request's list, or
// as the spacing gives them. Errors: INVALID_ARGUMENT naming `steps` when one lies outside the training timesteps, or
// `timesteps` when one is fractional.
absl::StatusOr<std::vector<int>> TableTimesteps(const SamplerInput& input);

}  // namespace stepcast::sampling

#include "sampling/compile/dropped_keys.h"

#include <algorithm>
#include <initializer_list>

#include "sampling/samplers/registry.h"

namespace stepcast::sampling {
namespace {

using Config = NoiseScheduleConfig;

bool IsOneOf(Sampler sampler, std::initializer_list<Sampler> known) {
  return std::find(known.begin(), known.end(), sampler) != known.end();
}

bool IsDpmFamily(Sampler sampler) {
  return IsOneOf(sampler, {Sampler::kDpmpp2m, Sampler::kDpmpp2mSde, Sampler::kDpmpp3m, Sampler::kDpmppSinglestep,
                           Sampler::kEdmDpmpp});
}

bool IsMultistepSolver(Sampler sampler) {
  return IsDpmFamily(sampler) || IsOneOf(sampler, {Sampler::kUnipc, Sampler::kDeis});
}

bool Clips(Sampler sampler) {
  return IsOneOf(sampler, {Sampler::kDdpm, Sampler::kDdim, Sampler::kHeun, Sampler::kLcm, Sampler::kTcd});
}

bool Thresholds(Sampler sampler) {
  return IsMultistepSolver(sampler) || IsOneOf(sampler, {Sampler::kDdpm, Sampler::kDdim, Sampler::kLcm, Sampler::kTcd});
}

bool ReadsFinalSigmas(Sampler sampler) {
  return IsDpmFamily(sampler) || IsOneOf(sampler, {Sampler::kEuler, Sampler::kUnipc, Sampler::kEdmEuler});
}

bool Spreads(Sampler sampler, SigmaSchedule schedule) {
  const SamplerDefinition* definition = FindSampler(sampler);
  if (definition == nullptr || !definition->configures_sigmas) return false;
  const auto& known = definition->sigma_schedules;
  return std::find(known.begin(), known.end(), schedule) != known.end();
}

// One key: whether the file sets it, and whether the class of the sampler has it.
struct Key {
  std::string_view name;
  bool (*is_set)(const Config& config);
  bool (*is_known)(Sampler sampler);
};

constexpr Key kKeys[] = {
    {"rescale_betas_zero_snr", [](const Config& c) { return c.rescale_betas_zero_snr.value_or(false); },
     [](Sampler s) { return FindSampler(s)->defaults.zero_snr != ZeroSnr::kUnknown; }},
    {"clip_sample", [](const Config& c) { return c.clip_sample.value_or(false); }, &Clips},
    {"thresholding", [](const Config& c) { return c.thresholding.value_or(false); }, &Thresholds},
    {"timestep_spacing", [](const Config& c) { return c.timestep_spacing.has_value(); },
     [](Sampler s) { return FindSampler(s)->defaults.has_spacing; }},
    {"use_karras_sigmas", [](const Config& c) { return c.use_karras_sigmas.value_or(false); },
     [](Sampler s) { return Spreads(s, SigmaSchedule::kKarras); }},
    {"use_exponential_sigmas", [](const Config& c) { return c.use_exponential_sigmas.value_or(false); },
     [](Sampler s) { return Spreads(s, SigmaSchedule::kExponential); }},
    {"use_beta_sigmas", [](const Config& c) { return c.use_beta_sigmas.value_or(false); },
     [](Sampler s) { return Spreads(s, SigmaSchedule::kBeta); }},
    {"use_lu_lambdas", [](const Config& c) { return c.use_lu_lambdas.value_or(false); },
     [](Sampler s) { return Spreads(s, SigmaSchedule::kLu); }},
    {"final_sigmas_type", [](const Config& c) { return c.final_sigmas_type == FinalSigmas::kSigmaMin; },
     &ReadsFinalSigmas},
    {"lambda_min_clipped", [](const Config& c) { return c.lambda_min_clipped.has_value(); },
     [](Sampler s) { return IsDpmFamily(s) && s != Sampler::kEdmDpmpp; }},
    {"interpolation_type", [](const Config& c) { return c.log_linear_interpolation.value_or(false); },
     [](Sampler s) { return s == Sampler::kEuler; }},
    {"timestep_type", [](const Config& c) { return c.continuous_timesteps.value_or(false); },
     [](Sampler s) { return s == Sampler::kEuler; }},
    {"solver_order", [](const Config& c) { return c.solver_order.value_or(2) != 2; }, &IsMultistepSolver},
    {"algorithm_type", [](const Config& c) { return c.algorithm_type == SolverAlgorithm::kSdeDpmSolverPlusPlus; },
     &IsDpmFamily},
    {"euler_at_final", [](const Config& c) { return c.euler_at_final.value_or(false); },
     [](Sampler s) { return IsDpmFamily(s) && s != Sampler::kDpmppSinglestep; }},
    {"predict_x0", [](const Config& c) { return !c.predict_x0.value_or(true); },
     [](Sampler s) { return s == Sampler::kUnipc; }},
    {"disable_corrector", [](const Config& c) { return !c.disable_corrector.empty(); },
     [](Sampler s) { return s == Sampler::kUnipc; }},
};

}  // namespace

std::vector<std::string_view> DroppedKeys(const NoiseScheduleConfig& config, Sampler sampler) {
  std::vector<std::string_view> dropped;
  if (FindSampler(sampler) == nullptr) return dropped;
  for (const Key& key : kKeys) {
    if (key.is_set(config) && !key.is_known(sampler)) dropped.push_back(key.name);
  }
  return dropped;
}

}  // namespace stepcast::sampling

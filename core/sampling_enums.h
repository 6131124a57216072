#pragma once
// The names of sampling that requests, models and compilers share. They follow diffusers.

#include <optional>
#include <string_view>

namespace stepcast {

// Numerical methods that turn noise into an image. The order equals stepcast.v1.Sampler in the proto.
enum class Sampler {
  kDdpm,
  kDdim,
  kPndm,
  kEuler,
  kEulerAncestral,
  kHeun,
  kLms,
  kDpm2,
  kDpm2Ancestral,
  kDpmpp2m,
  kDpmpp2mSde,
  kDpmpp3m,
  kDpmppSinglestep,
  kUnipc,
  kDeis,
  kLcm,
  kTcd,
  kEdmEuler,
  kEdmDpmpp,
  kSdeVe,
  kAnnealedLangevin,
  kSdeVp,
};

// How noise levels are spread over the steps. kDefault: as the model's own scheduler_config.json says for the
// chosen sampler (use_karras_sigmas and its kin), else as the timestep spacing gives them.
enum class SigmaSchedule { kDefault, kKarras, kExponential, kBeta, kLu };

// How `steps` timesteps are picked from the training timesteps.
enum class TimestepSpacing { kLinspace, kLeading, kTrailing };

// What the denoiser predicts.
enum class PredictionType { kEpsilon, kVPrediction, kSample };

// The shape of the training betas.
enum class BetaSchedule { kLinear, kScaledLinear, kSquaredCosCapV2, kSigmoid };

// Variance added by DDPM.
enum class VarianceType { kFixedSmall, kFixedSmallLog, kFixedLarge, kFixedLargeLog, kLearned, kLearnedRange };

// The last noise level of a sigma-space sampler: 0, or the smallest of the training table.
enum class FinalSigmas { kZero, kSigmaMin };

// How a higher-order solver weighs what it remembers. Each class has its own two or one and reads the others as its
// default: midpoint and heun are DPM-Solver's, bh1 and bh2 UniPC's, logrho DEIS's.
enum class SolverType { kMidpoint, kHeun, kBh1, kBh2, kLogRho };

// What a DPM-Solver class solves: the ODE or the SDE, in the prediction of x0 (++) or of the noise.
enum class SolverAlgorithm { kDpmSolver, kDpmSolverPlusPlus, kSdeDpmSolver, kSdeDpmSolverPlusPlus, kDeis };

// "DPMPP_2M" for Sampler::kDpmpp2m: the name of the proto enum value without its prefix.
std::string_view SamplerName(Sampler sampler);

// Inverse of SamplerName, upper case only; nullopt for unknown names.
std::optional<Sampler> SamplerFromName(std::string_view name);

// "KARRAS", "TRAILING", ...: the names of the proto enum values without their prefix.
std::string_view SigmaScheduleName(SigmaSchedule schedule);
std::string_view TimestepSpacingName(TimestepSpacing spacing);
std::optional<SigmaSchedule> SigmaScheduleFromName(std::string_view name);
std::optional<TimestepSpacing> TimestepSpacingFromName(std::string_view name);

// "epsilon", "v_prediction", "sample"; "dpmsolver++", "sde-dpmsolver++", ...: as scheduler_config.json spells it.
std::string_view PredictionTypeName(PredictionType prediction);
std::optional<PredictionType> PredictionTypeFromName(std::string_view name);
std::string_view SolverAlgorithmName(SolverAlgorithm algorithm);

}  // namespace stepcast

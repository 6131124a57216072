#include "core/sampling_enums.h"

#include <array>
#include <cstddef>

namespace stepcast {
namespace {

constexpr std::array<std::string_view, 22> kSamplerNames = {"DDPM",
                                                            "DDIM",
                                                            "PNDM",
                                                            "EULER",
                                                            "EULER_ANCESTRAL",
                                                            "HEUN",
                                                            "LMS",
                                                            "DPM2",
                                                            "DPM2_ANCESTRAL",
                                                            "DPMPP_2M",
                                                            "DPMPP_2M_SDE",
                                                            "DPMPP_3M",
                                                            "DPMPP_SINGLESTEP",
                                                            "UNIPC",
                                                            "DEIS",
                                                            "LCM",
                                                            "TCD",
                                                            "EDM_EULER",
                                                            "EDM_DPMPP",
                                                            "SDE_VE",
                                                            "ANNEALED_LANGEVIN",
                                                            "SDE_VP"};
static_assert(kSamplerNames.size() == static_cast<size_t>(Sampler::kSdeVp) + 1);

constexpr std::array<std::string_view, 5> kSigmaScheduleNames = {"DEFAULT", "KARRAS", "EXPONENTIAL", "BETA", "LU"};
static_assert(kSigmaScheduleNames.size() == static_cast<size_t>(SigmaSchedule::kLu) + 1);

constexpr std::array<std::string_view, 3> kTimestepSpacingNames = {"LINSPACE", "LEADING", "TRAILING"};
static_assert(kTimestepSpacingNames.size() == static_cast<size_t>(TimestepSpacing::kTrailing) + 1);

constexpr std::array<std::string_view, 3> kPredictionTypeNames = {"epsilon", "v_prediction", "sample"};
static_assert(kPredictionTypeNames.size() == static_cast<size_t>(PredictionType::kSample) + 1);

constexpr std::array<std::string_view, 5> kSolverAlgorithmNames = {"dpmsolver", "dpmsolver++", "sde-dpmsolver",
                                                                   "sde-dpmsolver++", "deis"};
static_assert(kSolverAlgorithmNames.size() == static_cast<size_t>(SolverAlgorithm::kDeis) + 1);

template <typename Enum, size_t kSize>
std::optional<Enum> FromName(const std::array<std::string_view, kSize>& names, std::string_view name) {
  for (size_t i = 0; i < kSize; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view SamplerName(Sampler sampler) { return kSamplerNames[static_cast<size_t>(sampler)]; }

std::optional<Sampler> SamplerFromName(std::string_view name) { return FromName<Sampler>(kSamplerNames, name); }

std::optional<SigmaSchedule> SigmaScheduleFromName(std::string_view name) {
  return FromName<SigmaSchedule>(kSigmaScheduleNames, name);
}

std::optional<TimestepSpacing> TimestepSpacingFromName(std::string_view name) {
  return FromName<TimestepSpacing>(kTimestepSpacingNames, name);
}

std::optional<PredictionType> PredictionTypeFromName(std::string_view name) {
  return FromName<PredictionType>(kPredictionTypeNames, name);
}

std::string_view SigmaScheduleName(SigmaSchedule schedule) {
  return kSigmaScheduleNames[static_cast<size_t>(schedule)];
}

std::string_view TimestepSpacingName(TimestepSpacing spacing) {
  return kTimestepSpacingNames[static_cast<size_t>(spacing)];
}

std::string_view PredictionTypeName(PredictionType prediction) {
  return kPredictionTypeNames[static_cast<size_t>(prediction)];
}

std::string_view SolverAlgorithmName(SolverAlgorithm algorithm) {
  return kSolverAlgorithmNames[static_cast<size_t>(algorithm)];
}

}  // namespace stepcast

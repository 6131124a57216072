#include "core/sampling_types.h"

#include <array>
#include <cstddef>

namespace stepcast {
namespace {

constexpr std::array<std::string_view, 21> kSamplerNames = {
    "DDPM",      "DDIM",        "PNDM",     "EULER",    "EULER_ANCESTRAL",   "HEUN",   "LMS",
    "DPM2",      "DPM2_ANCESTRAL", "DPMPP_2M", "DPMPP_2M_SDE", "DPMPP_3M",   "DPMPP_SINGLESTEP", "UNIPC",
    "DEIS",      "LCM",         "TCD",      "EDM_EULER", "EDM_DPMPP",        "SDE_VE", "ANNEALED_LANGEVIN"};
static_assert(kSamplerNames.size() == static_cast<size_t>(Sampler::kAnnealedLangevin) + 1);

}  // namespace

std::string_view SamplerName(Sampler sampler) { return kSamplerNames[static_cast<size_t>(sampler)]; }

std::optional<Sampler> SamplerFromName(std::string_view name) {
  for (size_t i = 0; i < kSamplerNames.size(); ++i) {
    if (kSamplerNames[i] == name) return static_cast<Sampler>(i);
  }
  return std::nullopt;
}

}  // namespace stepcast

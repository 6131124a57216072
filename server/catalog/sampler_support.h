#pragma once
// What goes with a sampler on a given model. Asked of the sampling compiler, so that the API never promises a pair
// that the compiler refuses.

#include <vector>

#include "core/model_info.h"
#include "core/sampling_types.h"
#include "sampling/samplers/sampler.h"

namespace stepcast {

// A sampler that a model takes.
struct SamplerSupport {
  Sampler sampler = Sampler::kDdim;
  std::vector<SigmaSchedule> sigma_schedules = {};  // in the order of the enum; kDefault among them
  bool takes_eta = false;
  double default_eta = 0.0;                                      // of requests that name none
  TimestepSpacing timestep_spacing = TimestepSpacing::kLeading;  // of requests that name none
  sampling::AcceptedOptions options = {};
  bool draws_noise = false;  // while it paints, with its default options
  int evaluations = 0;       // of a picture with the model's default steps
};

// Probes the compiler with `model`'s noise schedule. Samplers that it refuses altogether are left out.
std::vector<SamplerSupport> ProbeSamplers(const ModelInfo& model);

// The spacing that a request gets when it names none: the model's, else the default of the sampler's diffusers
// class.
TimestepSpacing DefaultTimestepSpacing(const NoiseScheduleConfig& schedule, Sampler sampler);

// Whether `sampler` reads eta.
bool TakesEta(Sampler sampler);

}  // namespace stepcast

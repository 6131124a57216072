#include "sampling/compile/usable.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

constexpr int kFewSteps = 4;  // that every sampler takes on every model

bool ReadsVariance(const SamplingProgram& program) {
  return std::any_of(program.evaluations.begin(), program.evaluations.end(), [](const Evaluation& evaluation) {
    return evaluation.special == Special::kVarianceNoise || evaluation.special == Special::kVarianceRoot;
  });
}

}  // namespace

absl::Status CheckUsable(const ModelInfo& model, const SamplerSpec& spec) {
  STEPCAST_ASSIGN_OR_RETURN(const SharedProgram program, Compile(model.noise_schedule, spec));
  if (model.predicts_variance || !ReadsVariance(*program)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("sampler: ", std::string(SamplerName(spec.sampler)),
                                                 " reads a variance (scheduler_config.json: variance_type), which this "
                                                 "model's denoiser does not predict"));
}

std::vector<Sampler> UsableSamplers(const ModelInfo& model) {
  std::vector<Sampler> usable;
  for (const Sampler sampler : SupportedSamplers()) {
    for (const int steps : {model.defaults.steps, kFewSteps}) {
      SamplerSpec spec;
      spec.sampler = sampler;
      spec.steps = steps;
      if (!CheckUsable(model, spec).ok()) continue;
      usable.push_back(sampler);
      break;
    }
  }
  return usable;
}

}  // namespace stepcast::sampling

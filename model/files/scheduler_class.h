#pragma once
// Which of diffusers' scheduler classes a model may name, and what each is run as.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/sampling_types.h"
#include "model/files/json_config.h"

namespace stepcast::model {

// What a model's scheduler is read as.
struct SchedulerVerdict {
  std::string scheduler_class;     // whose keys and defaults the file has: the class itself, or the one that it equals
  std::vector<std::string> notes;  // for the log: a stand-in, or names that contradict each other
};

// `json` is scheduler_config.json, `index_class` what model_index.json says, which decides. Both must be of a kind that
// is run: a file of another kind (flow matching, consistency models, inverse schedulers, ...) or of an unknown class
// tells of a model that no sampler here could paint with.
// Errors: INVALID_ARGUMENT naming the file, the class, and what is run.
absl::StatusOr<SchedulerVerdict> JudgeScheduler(JsonConfig& json, const std::string& index_class);

// Some pipelines convert whatever scheduler they are given to the one they are named after: so does `verdict`, with a
// note that names `where`.
void ConvertScheduler(absl::string_view pipeline_class, absl::string_view where, SchedulerVerdict& verdict);

// The sampler that a scheduler class stands for; nullopt for classes that are not run.
std::optional<Sampler> SamplerOfClass(absl::string_view scheduler_class);

// The sampler that the model's own scheduler is: that of its class, DPMPP_2M_SDE where the file says sde-dpmsolver++.
std::optional<Sampler> DefaultSampler(const NoiseScheduleConfig& config);

}  // namespace stepcast::model

#pragma once
// scheduler_config.json: the noise schedule that a model was trained on.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/sampling_types.h"
#include "model/files/json_config.h"

namespace stepcast::model {

// `scheduler_class` comes from model_index.json, which overrides the file's own _class_name. Keys that are absent,
// null or listed in _use_default_values stay empty. Applies what the pipeline class itself overrides on load: keys of
// the file for all samplers, absent ones for the scheduler's own class.
// Errors: INVALID_ARGUMENT listing every bad value.
absl::StatusOr<NoiseScheduleConfig> ParseSchedulerConfig(JsonConfig& json, const std::string& scheduler_class,
                                                         absl::string_view pipeline_class);

}  // namespace stepcast::model

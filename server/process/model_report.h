#pragma once
// What `--validate_model` says of a model.

#include <string>
#include <vector>

#include "server/catalog/model_registry.h"
#include "server/config/config.h"

namespace stepcast {

// Family, networks with their files and types, what was decided and from what, defaults, limits, samplers, and what was
// odd. For people; ends with a line break.
std::string ModelReport(const RegisteredModel& model, const LimitsConfig& limits,
                        const std::vector<std::string>& warnings);

// The same of a ControlNet.
std::string ControlNetReport(const ControlNetInfo& net, const std::vector<std::string>& warnings);

// Tells the log what was decided, and from what.
void LogModel(const ModelInfo& info);
// Tells the log of a net that is there.
void LogControlNet(const ControlNetInfo& net);

}  // namespace stepcast

#pragma once
// Reads the ControlNets of the options onto the devices.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/control_net_info.h"
#include "core/model_info.h"
#include "engine/device/torch_guard.h"
#include "engine/start/engine_factory.h"
#include "engine/start/model_library.h"

namespace stepcast::engine {

// What came of reading them.
struct ControlNets {
  std::vector<ControlNetInfo> infos;  // in the order of the options
  std::vector<std::string> warnings;  // those that were left out and why, and what was odd about the others
};

// Puts each net on the shelf of each place, at the start, so that no tick ever waits for one. A net that cannot be
// read, or that the budget has no room for beside those before it, is left out and stops nothing else.
ControlNets ReadControlNets(const EngineOptions& options, absl::Span<const ModelPlace> places, const TorchGuard& guard);

// The net of `path`, without its weights. Errors: as of reading it.
absl::StatusOr<CheckedModel> CheckControlNet(const EngineOptions& options, const ModelPlace& place,
                                             const TorchGuard& guard);

// Those of `nets` that go with a model.
std::vector<ControlNetInfo> FittingNets(const std::vector<ControlNetInfo>& nets, const ModelInfo& model);

}  // namespace stepcast::engine

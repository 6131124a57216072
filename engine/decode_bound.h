#pragma once
// What the decode of one picture may take.

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "engine/device.h"
#include "engine/engine_factory.h"
#include "engine/torch_guard.h"

namespace stepcast::engine {

// Tells every model the bound of the options, or the least that a device has free, which executors that share it share.
// Errors: of the device.
absl::Status BoundDecodes(const EngineOptions& options, const std::vector<std::unique_ptr<ComputeDevice>>& devices,
                          const TorchGuard& guard, std::vector<SharedModelInfo>& models);

}  // namespace stepcast::engine

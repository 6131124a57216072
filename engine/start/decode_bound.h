#pragma once
// What the decode of one picture may take.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/start/engine_factory.h"

namespace stepcast::engine {

// The bound of the options, or the least that a device has free, which executors that share it share; 0: not known.
// Errors: of the device.
absl::StatusOr<int64_t> DecodeBound(const EngineOptions& options,
                                    const std::vector<std::unique_ptr<ComputeDevice>>& devices,
                                    const TorchGuard& guard);

// `model` with that bound.
SharedModelInfo WithDecodeBound(ModelInfo model, int64_t bound);

}  // namespace stepcast::engine

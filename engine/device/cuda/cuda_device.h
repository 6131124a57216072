#pragma once
// The CUDA side of engine/device/device.h: stubs that refuse unless built with STEPCAST_CUDA=ON.

#include <memory>

#include "absl/status/statusor.h"
#include "engine/device/device.h"

namespace stepcast::engine {

// CUDA devices this process can use; 0 without CUDA support, driver or device. Never throws.
int CudaDeviceCount();

// Opens the CUDA device `index`.
// Errors: FAILED_PRECONDITION, saying whether this build lacks CUDA, the machine lacks a usable driver, or the
// device does not exist.
absl::StatusOr<std::unique_ptr<ComputeDevice>> OpenCudaDevice(int index);

}  // namespace stepcast::engine

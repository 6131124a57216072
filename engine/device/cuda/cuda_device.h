#pragma once
// The CUDA side of engine/device/device.h: stubs that refuse unless built with STEPCAST_CUDA=ON.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/device/device.h"

namespace stepcast::engine {

// CUDA devices this process can use; 0 without CUDA support, driver or device. Never throws.
int CudaDeviceCount();

// Why a machine on which CUDA shows no device shows none, and what to do. Versions as CUDA numbers them, 13020
// for 13.2: `runtime` is what this build needs, `driver` the newest that the installed driver serves, 0 without one.
std::string WhyNoCudaDevice(int runtime, int driver);

// Opens the CUDA device `index`.
// Errors: FAILED_PRECONDITION, saying whether this build lacks CUDA, the machine lacks a usable driver, or the
// device does not exist.
absl::StatusOr<std::unique_ptr<ComputeDevice>> OpenCudaDevice(int index);

}  // namespace stepcast::engine

#pragma once
// Reads ControlNets: folders in diffusers layout, and single files.

#include <memory>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "absl/status/statusor.h"
#include "core/control_net_info.h"
#include "model/control/control_net.h"
#include "model/loading/compute_dtypes.h"

namespace stepcast::model {

struct ControlNetLoadOptions {
  std::string id;    // becomes ControlNetInfo::id
  std::string path;  // a folder in diffusers layout, or one .safetensors file
  // Meta: the net is read and checked but for the numbers of its weights, and cannot be run.
  c10::Device device = c10::Device(c10::DeviceType::CPU);
  c10::ScalarType dtype = c10::ScalarType::Float;  // Undefined: auto
  AutoDtypes auto_dtypes = {c10::ScalarType::Float};
};

struct LoadedControlNet {
  ControlNetInfo info;
  std::shared_ptr<const ControlNet> net;
  std::vector<std::string> warnings = {};  // of unused weights and unknown keys; for the log
};

// Errors: NOT_FOUND or INVALID_ARGUMENT, naming the file and what is wrong, with all missing and mis-shaped weights
// listed at once; FAILED_PRECONDITION when the remedy is outside this program (a git-lfs pull, a conversion). Throws
// c10::Error when the device fails; engine/device/torch_guard.h turns it into a Status.
absl::StatusOr<LoadedControlNet> LoadControlNet(const ControlNetLoadOptions& options);

// Whether `path` holds a ControlNet rather than anything else that could be read: by the class that its config.json
// names, or by the names of its tensors. False for what cannot be opened.
bool IsControlNet(const std::string& path);

}  // namespace stepcast::model

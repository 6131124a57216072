#pragma once
// At which sizes strict mode may let pictures share a forward.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/shelves/control_shelf.h"
#include "engine/trial/strict_check.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

// What was found out of the sizes that have come so far; a model's own was checked when it was loaded.
//
// Thread-safety: none; owned by one executor.
class SizeChecks {
 public:
  // `device` must outlive this; `nets` may be null. `log` hears of each size that fails; it may be empty.
  SizeChecks(const ComputeDevice& device, int strict_rows, std::shared_ptr<const ControlShelf> nets, ErrorLog log)
      : device_(device), strict_rows_(strict_rows), nets_(std::move(nets)), log_(std::move(log)) {}

  // Whether rows of forwards of so many cells are independent. Runs the denoiser when it is asked for the first time.
  // Throws what tensor code throws: call it inside TorchGuard::Run and an InferenceMode.
  bool Passes(const model::ModelBundle& bundle, const Cells& cells);

 private:
  const ComputeDevice& device_;
  const int strict_rows_;
  const std::shared_ptr<const ControlShelf> nets_;
  const ErrorLog log_;
  std::map<std::pair<std::string, Cells>, bool> known_;  // by what decides it: the model's weights and types
};

}  // namespace stepcast::engine

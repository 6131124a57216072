#pragma once
// Runs a model before anybody waits for it.

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/device/torch_guard.h"
#include "engine/shelves/control_shelf.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

// How large the pictures of a warm-up are.
enum class WarmUpSize {
  kDefault,   // of a request that names none, so that the first one pays for nothing
  kSmallest,  // enough to see that the model runs, while others paint
};

// Runs every part of the model once, the denoiser with `rows` rows: the libraries below choose and build their kernels
// on first use, and a model that cannot run is found out. Errors: those of `guard`.
absl::Status WarmUp(const model::ModelBundle& bundle, const ComputeDevice& device, int rows, WarmUpSize size,
                    const TorchGuard& guard);

// The same of `nets`, which go with the model: the first picture that follows another one does not pay for it.
absl::Status WarmUpControl(const model::ModelBundle& bundle, absl::Span<const SharedControlNet> nets,
                           const ComputeDevice& device, int rows, const TorchGuard& guard);

}  // namespace stepcast::engine

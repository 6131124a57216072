#pragma once
// Proves on the spot what strict mode promises.

#include "engine/device.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

// Whether a row of a forward of `rows` rows is the same to the last bit wherever it stands and whatever the other rows
// hold. It depends on the libraries' kernels, the row's size and the number of threads: a vectorised loop that is cut
// in the middle of a row treats the cut's edges otherwise. Runs the denoiser three times in the model's default size.
// REQUIRES: rows >= 2. Throws what tensor code throws: call it inside TorchGuard::Run and an InferenceMode.
bool RowsAreIndependent(const model::ModelBundle& bundle, const ComputeDevice& device, int rows);

}  // namespace stepcast::engine

#pragma once
// Builds the network of a parity case from our layers and runs it.

#include <ATen/core/Tensor.h>

#include "tests/model/replay.h"

namespace stepcast::model {

// The output as float32. Weights and inputs are converted to `dtype` first.
at::Tensor RunCase(const ParityCase& parity, c10::ScalarType dtype);

}  // namespace stepcast::model

#pragma once
// What is in the many .safetensors files that are no checkpoint of Stable Diffusion.

#include <string>

#include "absl/status/status.h"
#include "model/single_file/tensor_listing.h"

namespace stepcast::model {

// Says what a file without a U-Net in the original layout is instead, and what to do with it: an adapter, one component
// of a folder, another family of models. INVALID_ARGUMENT, always.
absl::Status RefuseForeign(const TensorListing& tensors);

// Refuses weights that are stored as codes and scales, whatever the model. OK when there are none.
absl::Status RefuseQuantised(const TensorListing& tensors);

// Refuses files that are no safetensors by their name's end or their first bytes: pickles, GGUF, ONNX. OK when the file
// may be one, or cannot be read. Errors: FAILED_PRECONDITION with the way out.
absl::Status RefuseOtherFormats(const std::string& path);

}  // namespace stepcast::model

#pragma once
// Previews by one matrix: each latent cell becomes one RGB pixel.

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "model/preview/preview_matrix.h"
#include "model/preview_decoder.h"

namespace stepcast::model {

// Immutable; const methods only, no threads.
class LinearPreviewDecoder final : public PreviewDecoder {
 public:
  LinearPreviewDecoder(const PreviewMatrix& matrix, c10::Device device);
  at::Tensor Decode(const at::Tensor& x0) const override;

 private:
  at::Tensor weight_;  // [3, C, 1, 1] float32
  at::Tensor bias_;    // [3]
};

}  // namespace stepcast::model

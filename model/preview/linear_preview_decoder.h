#pragma once
// Previews by one matrix: each latent cell becomes one RGB pixel.

#include <array>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "absl/status/statusor.h"
#include "model/preview_decoder.h"

namespace stepcast::model {

// rgb = matrixᵀ latent + bias, in [-1, 1].
struct PreviewMatrix {
  std::vector<std::array<double, 3>> rows;  // one per latent channel
  std::array<double, 3> bias = {0, 0, 0};
};

// Reads `preview.json`: {"latent_channels": C, "matrix": [[r, g, b] x C], "bias": [r, g, b]}.
// Errors: NOT_FOUND; INVALID_ARGUMENT when it is malformed or not for `latent_channels`.
absl::StatusOr<PreviewMatrix> ReadPreviewMatrix(const std::string& path, int64_t latent_channels);

// The matrices that are published for the two well-known 4-channel latent spaces; for other channel counts a
// grey picture of the channels' mean.
PreviewMatrix FallbackPreviewMatrix(int64_t latent_channels, bool sdxl);

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

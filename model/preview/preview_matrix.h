#pragma once
// The matrix of linear previews, and where it is read from. No torch.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

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

}  // namespace stepcast::model

#pragma once
// Cells of a picture that are kept while others are repainted (sampling::Blend), as shares of each cell.

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/job/active_job.h"

namespace stepcast::engine {

// Each looks at the stages of `jobs` and leaves the rows of those without a blend alone; one row per job, float32
// [N, C, h, w]. With m what a cell is repainted by, known(level) = image_coef * picture + noise_coef * initial noise:

// What the denoiser sees. kX0: m * latents + (1 - m) * known(level); `latents` itself where nobody asks.
at::Tensor SeenLatents(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, const ComputeDevice& device);

// kX0: x0 := m * x0 + (1 - m) * picture, and `model_output` such that it says the same.
void BlendEstimates(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, const at::Tensor& model_output,
                    const at::Tensor& x0, const ComputeDevice& device);

// kLatents after every evaluation, kX0 after the last: latents := m * latents + (1 - m) * known(kept).
void BlendLatents(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, const ComputeDevice& device);

}  // namespace stepcast::engine

#pragma once
// The weighted sums of an evaluation's rows over the whole picture.

#include <ATen/core/Tensor.h>

#include "engine/device/device.h"
#include "engine/job/active_job.h"
#include "engine/job/denoise_state.h"

namespace stepcast::engine {

// What the job's earlier ticks have summed, and `output`, the float32 predictions [r, C, h', w'] of its rows in this
// tick, in row order: each row times its weights, where its window lies. New tensors: what fails may be tried again.
// Throws what tensor code throws.
RowSums SumRows(const ActiveJob& job, const at::Tensor& output, const ComputeDevice& device);

// `combined` [N, C, h, w] rescaled towards the standard deviation of `cond`, per job, by phi [N, 1, 1, 1]
// (arXiv:2305.08891, eq. 15-16).
at::Tensor Rescaled(const at::Tensor& combined, const at::Tensor& cond, const at::Tensor& phi);

}  // namespace stepcast::engine

#pragma once
// The updates of samplers that are not linear in the slots with coefficients known beforehand.

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"
#include "engine/job/active_job.h"

namespace stepcast::engine {

// What they read and write, one row per job, float32.
struct SpecialRows {
  at::Tensor latents;       // [N, C, h, w]
  at::Tensor variance;      // [N, C, h, w] of models that predict it, else [N, 0, h, w]
  at::Tensor model_output;  // [N, C, h, w], written
  at::Tensor noise;         // [N, C, h, w], written; undefined when no job draws any
};

// Applies sampling::Special of each job to its own row, as sampling::ApplySpecial defines it; rows of other jobs are
// left alone. Throws what tensor code throws.
void ApplySpecials(absl::Span<const ActiveJob> jobs, const SpecialRows& rows);

}  // namespace stepcast::engine

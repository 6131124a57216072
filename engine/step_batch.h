#pragma once
// From jobs to the rows of one denoiser forward, and back to one guided prediction per job.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <vector>

#include "absl/types/span.h"
#include "engine/active_job.h"
#include "engine/device.h"
#include "model/conditioner.h"

namespace stepcast::engine {

// Which rows of a forward belong to which job. A guided job has two rows, uncond then cond; any other has one.
struct RowLayout {
  std::vector<int64_t> job_of_row;  // [R]
  std::vector<int64_t> uncond_row;  // [N]; equals cond_row where the job is not guided
  std::vector<int64_t> cond_row;    // [N]
  bool any_guided = false;
  bool all_guided = false;

  static RowLayout Of(absl::Span<const ActiveJob> jobs);
  int64_t rows() const { return static_cast<int64_t>(job_of_row.size()); }
  int64_t jobs() const { return static_cast<int64_t>(cond_row.size()); }
};

// Builds the inputs of denoiser forwards and combines their outputs.
//
// Jobs may differ in everything but the model and the latents' shape: timestep, input scale, prompt, guidance.
// Keeps the conditioning rows of the last few batches, because the same rows come back tick after tick.
//
// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class StepBatch {
 public:
  // `device` must outlive the batch.
  explicit StepBatch(const ComputeDevice& device) : device_(device) {}

  // latents [N, C, h, w] float32, one per job (not yet scaled). Returns the guided prediction
  // [N, C, h, w] float32: uncond + scale * (cond - uncond), rescaled where asked (arXiv:2305.08891, eq. 15-16); of
  // models that predict a variance [N, 2C, h, w], the variance of the conditional row behind the prediction.
  // REQUIRES: all jobs use the same bundle; not empty.
  at::Tensor Predict(absl::Span<const ActiveJob> jobs, const at::Tensor& latents);

  // Forgets the kept conditioning rows.
  void Clear() { kept_.clear(); }

 private:
  struct KeptRows {
    std::vector<int64_t> embedding_ids;  // of the rows, in order
    model::Conditioning conditioning;
  };

  // [R] float32: `value` of each row's evaluation.
  at::Tensor PerRow(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                    float (*value)(const sampling::Evaluation&)) const;
  at::Tensor DenoiserInput(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& latents) const;
  const model::Conditioning& ConditioningRows(absl::Span<const ActiveJob> jobs, const RowLayout& layout);
  at::Tensor Combine(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;

  const ComputeDevice& device_;
  std::list<KeptRows> kept_;  // most recent first
};

}  // namespace stepcast::engine

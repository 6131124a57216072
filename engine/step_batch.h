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
// With `strict_rows` every forward has exactly that many rows, the missing ones zero, and guidance is worked out job by
// job: a prediction then does not depend on the neighbours, to the last bit.
// Keeps the conditioning rows of the last few batches, prepared by the denoiser, because the same rows come back tick
// after tick.
//
// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class StepBatch {
 public:
  // `device` must outlive the batch. `strict_rows` 0: forwards have as many rows as the jobs need.
  explicit StepBatch(const ComputeDevice& device, int strict_rows = 0) : device_(device), strict_rows_(strict_rows) {}

  // latents [N, C, h, w] float32, one per job (not yet scaled). Returns the guided prediction
  // [N, C, h, w] float32: uncond + scale * (cond - uncond), rescaled where asked (arXiv:2305.08891, eq. 15-16); of
  // models that predict a variance [N, 2C, h, w], the variance of the conditional row behind the prediction.
  // REQUIRES: all jobs use the same bundle; not empty; with strict_rows, no more rows than that.
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
  void DropOldRows();
  const model::Conditioning& ConditioningRows(absl::Span<const ActiveJob> jobs, const RowLayout& layout);
  at::Tensor Combine(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;
  at::Tensor CombineEach(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;
  // Rows that a forward has beyond those of the layout.
  int64_t Padding(const RowLayout& layout) const { return strict_rows_ > 0 ? strict_rows_ - layout.rows() : 0; }

  const ComputeDevice& device_;
  const int strict_rows_;
  std::list<KeptRows> kept_;  // most recent first
};

}  // namespace stepcast::engine

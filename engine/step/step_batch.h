#pragma once
// From jobs to the rows of one denoiser forward, and back to one guided prediction per job.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/job/active_job.h"
#include "engine/step/control_batch.h"
#include "engine/step/kept_conditioning.h"
#include "engine/step/row_layout.h"
#include "model/conditioner.h"

namespace stepcast::engine {

// Jobs whose latents have one shape, and whose evaluations this tick finishes, or none of them.
struct LatentGroup {
  absl::Span<const ActiveJob> jobs;
  at::Tensor latents;  // [N, C, h, w] float32, one per job, not yet scaled
};

// What came of a group.
struct GroupPrediction {
  at::Tensor prediction;      // where the tick finishes the jobs' evaluations
  std::vector<RowSums> sums;  // else: of each job, with this tick's rows
};

// Builds the inputs of denoiser forwards and combines their outputs.
//
// Jobs may differ in everything but the model and the shape of what a row sees: timestep, input scale, prompt,
// guidance, number of rows, and the size of the picture that a row is a window of. A job with one row or the plain pair
// of classifier-free guidance is combined with its like; all others are sums of their own (row_sums). With
// `strict_rows` every forward has exactly that many rows, the missing ones zero, guidance is worked out job by job, and
// a job with a prompt of several chunks has a forward of its own, because longer texts make the sums over all texts of
// a forward come in another order: a prediction then does not depend on the neighbours, to the last bit. Keeps the
// conditioning rows of the last few batches, prepared by the denoiser, because the same rows come back tick after tick.
//
// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class StepBatch {
 public:
  // Of strict mode: whether rows of a forward of that many cells are independent of each other.
  using SizeCheck = std::function<bool(const model::ModelBundle& bundle, int64_t height, int64_t width)>;

  // `device` must outlive the batch. `strict_rows` 0: forwards have as many rows as the jobs need. `nets` null: there
  // are no ControlNets. `is_independent` null: rows of every size are; where they are not, each job has a forward of
  // its own.
  explicit StepBatch(const ComputeDevice& device, int strict_rows = 0,
                     std::shared_ptr<const ControlShelf> nets = nullptr, SizeCheck is_independent = nullptr)
      : device_(device),
        strict_rows_(strict_rows),
        is_independent_(std::move(is_independent)),
        control_(device, strict_rows, std::move(nets)) {}

  // Returns what came of each group: a prediction [N, C, h, w] float32, what the jobs' row sets sum to, rescaled where
  // asked; of models that predict a variance [N, 2C, h, w], the variance of the conditional sum behind the prediction.
  // REQUIRES: all jobs use the same bundle; no group is empty; all rows see equal shapes; with strict_rows, no more
  // rows than that.
  std::vector<GroupPrediction> Predict(absl::Span<const LatentGroup> groups);
  at::Tensor Predict(absl::Span<const ActiveJob> jobs, const at::Tensor& latents) {
    return Predict({LatentGroup{jobs, latents}}).front().prediction;
  }

  // Forgets the kept conditioning rows.
  void Clear() {
    kept_.Clear();
    control_.Clear();
  }

 private:
  std::vector<GroupPrediction> PredictTogether(absl::Span<const LatentGroup> groups);
  // Jobs with long texts, or all, one by one, the others together.
  std::vector<GroupPrediction> PredictApart(absl::Span<const LatentGroup> groups, bool all);
  bool SizeIsIndependent(const LatentGroup& group) const;
  // [R] float32: `value` of each row's evaluation.
  at::Tensor PerRow(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                    float (*value)(const sampling::Evaluation&)) const;
  at::Tensor DenoiserInput(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                           absl::Span<const LatentGroup> groups) const;
  at::Tensor RowsOf(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                    absl::Span<const LatentGroup> groups) const;
  const model::Conditioning& ConditioningRows(absl::Span<const ActiveJob> jobs, const RowLayout& layout);
  // What LoRAs do to the rows; null where no job asks for any.
  std::shared_ptr<const model::RowAdapters> AdaptersOf(absl::Span<const ActiveJob> jobs, const RowLayout& layout) const;
  GroupPrediction Conclude(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;
  at::Tensor Combine(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;
  at::Tensor CombinePlain(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;
  at::Tensor CombineSums(const ActiveJob& job, const at::Tensor& output) const;
  at::Tensor CombineEach(absl::Span<const ActiveJob> jobs, const RowLayout& layout, const at::Tensor& output) const;
  // Rows that a forward has beyond those of the layout.
  int64_t Padding(const RowLayout& layout) const { return strict_rows_ > 0 ? strict_rows_ - layout.rows() : 0; }

  const ComputeDevice& device_;
  const int strict_rows_;
  const SizeCheck is_independent_;
  KeptConditioning kept_;
  ControlBatch control_;
};

}  // namespace stepcast::engine

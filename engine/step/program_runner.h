#pragma once
// Executes the sampling programs of a batch: one evaluation of each job, whatever the mix of samplers.

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/job/active_job.h"
#include "sampling/program/sampling_program.h"

namespace stepcast::engine {

// What an evaluation makes of jobs' slots, not yet theirs.
struct SlotUpdate {
  std::vector<at::Tensor> to;
  std::vector<at::Tensor> from;
  std::vector<DenoiseState*> states;
};

// The slots of the jobs of one tick, side by side.
struct SlotBatch {
  std::vector<sampling::Slot> columns;  // S of them: latents, model output, x0, then whatever else some job uses
  at::Tensor values;                    // [N, S, C, h, w] float32; zero where a job does not use a column

  // [N, C, h, w], views into `values`.
  at::Tensor latents() const { return values.select(1, 0); }
  at::Tensor model_output() const { return values.select(1, 1); }
  at::Tensor x0() const { return values.select(1, 2); }
};

// Applies evaluations to slots. The update of every job is one row of a batched matrix product, so its cost
// does not depend on how many samplers meet in a tick. A strict runner goes job by job and term by term instead:
// slower, and to the last bit the same whoever the neighbours are.
//
// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class ProgramRunner {
 public:
  // `device` must outlive the runner.
  explicit ProgramRunner(const ComputeDevice& device, bool strict = false) : device_(device), strict_(strict) {}

  // Copies the jobs' slots into one batch. REQUIRES: latents of equal shape; not empty.
  SlotBatch Gather(absl::Span<const ActiveJob> jobs) const;

  // Takes the guided prediction [N, C, h, w] float32 ([N, 2C, h, w] of models that also predict the variance of each
  // step) and works out the evaluation: x0 with its post, noise, what is special, transition. The jobs' states stay as
  // they are until Commit, so that a tick that fails before may be tried again. Afterwards batch.x0() is the x0 that
  // previews show.
  SlotUpdate Compute(absl::Span<const ActiveJob> jobs, const at::Tensor& prediction, SlotBatch& batch) const;
  static void Commit(const SlotUpdate& update);

  // Both.
  void Apply(absl::Span<const ActiveJob> jobs, const at::Tensor& prediction, SlotBatch& batch) const {
    Commit(Compute(jobs, prediction, batch));
  }

 private:
  void EstimateX0(absl::Span<const ActiveJob> jobs, SlotBatch& batch) const;
  void EstimateEachX0(absl::Span<const ActiveJob> jobs, SlotBatch& batch) const;
  void DrawNoise(absl::Span<const ActiveJob> jobs, SlotBatch& batch) const;
  at::Tensor Transitions(absl::Span<const ActiveJob> jobs, const SlotBatch& batch,
                         const std::vector<sampling::Slot>& targets) const;
  // [N, P, C, h, w]: the targets' next values.
  at::Tensor Next(absl::Span<const ActiveJob> jobs, const SlotBatch& batch,
                  const std::vector<sampling::Slot>& targets) const;
  at::Tensor NextOfEach(absl::Span<const ActiveJob> jobs, const SlotBatch& batch,
                        const std::vector<sampling::Slot>& targets) const;

  const ComputeDevice& device_;
  const bool strict_;
};

}  // namespace stepcast::engine

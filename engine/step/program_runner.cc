#include "engine/step/program_runner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/quantile.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "engine/device/upload.h"
#include "engine/step/blend.h"
#include "engine/step/special_updates.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;
using sampling::kSlotCount;
using sampling::PostKind;
using sampling::Slot;

using SlotSet = std::array<bool, kSlotCount>;

bool& At(SlotSet& set, Slot slot) { return set[static_cast<size_t>(slot)]; }

// Slots that survive the tick for at least one job, ascending.
std::vector<Slot> Targets(absl::Span<const ActiveJob> jobs) {
  SlotSet used{};
  for (const ActiveJob& job : jobs) {
    for (const Slot slot : job.state->slots()) At(used, slot) = true;
  }
  std::vector<Slot> targets;
  for (int i = 0; i < kSlotCount; ++i) {
    if (used[static_cast<size_t>(i)]) targets.push_back(static_cast<Slot>(i));
  }
  return targets;
}

std::vector<Slot> Columns(absl::Span<const ActiveJob> jobs) {
  SlotSet used{};
  for (const Slot slot : Targets(jobs)) At(used, slot) = true;
  for (const ActiveJob& job : jobs) At(used, Slot::kNoise) = At(used, Slot::kNoise) || job.evaluation->draws_noise;
  std::vector<Slot> columns = {Slot::kLatents, Slot::kModelOutput, Slot::kX0};
  for (int i = static_cast<int>(Slot::kNoise); i < kSlotCount; ++i) {
    if (used[static_cast<size_t>(i)]) columns.push_back(static_cast<Slot>(i));
  }
  return columns;
}

// Position of each slot in `slots`, -1 where absent.
std::array<int64_t, kSlotCount> IndexOf(const std::vector<Slot>& slots) {
  std::array<int64_t, kSlotCount> index;
  index.fill(-1);
  for (size_t i = 0; i < slots.size(); ++i) index[static_cast<size_t>(slots[i])] = static_cast<int64_t>(i);
  return index;
}

// [N, C, h, w], a view; undefined when no job of the batch draws noise.
at::Tensor NoiseOf(const SlotBatch& batch) {
  const int64_t column = IndexOf(batch.columns)[static_cast<size_t>(Slot::kNoise)];
  return column < 0 ? at::Tensor() : batch.values.select(1, column);
}

// Clamps the rows that ask for it; the others get infinite bounds.
void Clip(absl::Span<const ActiveJob> jobs, const ComputeDevice& device, const at::Tensor& x0) {
  std::vector<float> limits;
  bool any = false;
  for (const ActiveJob& job : jobs) {
    const bool clips = job.evaluation->post.kind == PostKind::kClip;
    limits.push_back(clips ? job.evaluation->post.limit : std::numeric_limits<float>::infinity());
    any = any || clips;
  }
  if (!any) return;
  const at::Tensor limit = UploadFloats(device, limits).view({-1, 1, 1, 1});
  x0.clamp_(-limit, limit);
}

// Dynamic thresholding (arXiv:2205.11487, section 2.3). Row by row: pixel models use it, latent ones do not, and
// the quantile of each row has its own ratio.
void Threshold(absl::Span<const ActiveJob> jobs, const at::Tensor& x0) {
  for (size_t n = 0; n < jobs.size(); ++n) {
    const sampling::Post& post = jobs[n].evaluation->post;
    if (post.kind != PostKind::kThreshold) continue;
    at::Tensor row = x0.select(0, static_cast<int64_t>(n));
    const at::Tensor bound = at::quantile(row.abs().flatten(), static_cast<double>(post.ratio)).clamp(1.0f, post.limit);
    row.clamp_(-bound, bound).div_(bound);
  }
}

}  // namespace

SlotBatch ProgramRunner::Gather(absl::Span<const ActiveJob> jobs) const {
  SlotBatch batch;
  batch.columns = Columns(jobs);
  const at::Tensor zero = at::zeros_like(jobs.front().state->tensors().front());
  std::vector<at::Tensor> parts;
  parts.reserve(jobs.size() * batch.columns.size());
  for (const ActiveJob& job : jobs) {
    for (const Slot slot : batch.columns) {
      const int index = job.state->IndexOf(slot);
      parts.push_back(index < 0 ? zero : job.state->tensors()[static_cast<size_t>(index)]);
    }
  }
  batch.values =
      at::stack(parts).unflatten(0, {static_cast<int64_t>(jobs.size()), static_cast<int64_t>(batch.columns.size())});
  return batch;
}

SlotUpdate ProgramRunner::Compute(absl::Span<const ActiveJob> jobs, const at::Tensor& prediction,
                                  SlotBatch& batch) const {
  const int64_t channels = batch.values.size(2);
  batch.model_output().copy_(prediction.narrow(1, 0, channels));
  strict_ ? EstimateEachX0(jobs, batch) : EstimateX0(jobs, batch);
  BlendEstimates(jobs, batch.latents(), batch.model_output(), batch.x0(), device_);
  DrawNoise(jobs, batch);
  const at::Tensor variance = prediction.narrow(1, channels, prediction.size(1) - channels);
  ApplySpecials(jobs, {batch.latents(), variance, batch.model_output(), NoiseOf(batch)});
  const std::vector<Slot> targets = Targets(jobs);
  const at::Tensor next = strict_ ? NextOfEach(jobs, batch, targets) : Next(jobs, batch, targets);
  BlendLatents(jobs, next.select(1, 0), device_);  // the first target of all
  SlotUpdate update;
  const std::array<int64_t, kSlotCount> row_of = IndexOf(targets);
  for (size_t n = 0; n < jobs.size(); ++n) {
    const at::Tensor rows = next.select(0, static_cast<int64_t>(n));
    update.states.push_back(jobs[n].state);
    for (size_t i = 0; i < jobs[n].state->slots().size(); ++i) {
      update.to.push_back(jobs[n].state->tensors()[i]);
      update.from.push_back(rows.select(0, row_of[static_cast<size_t>(jobs[n].state->slots()[i])]));
    }
  }
  return update;
}

void ProgramRunner::Commit(const SlotUpdate& update) {
  std::vector<at::Tensor> to = update.to;
  at::_foreach_copy_(to, update.from);
  for (DenoiseState* state : update.states) {
    state->ConsumeNoise();
    state->set_sums({});
  }
}

void ProgramRunner::EstimateX0(absl::Span<const ActiveJob> jobs, SlotBatch& batch) const {
  std::vector<float> coefficients;
  coefficients.reserve(2 * jobs.size());
  for (const ActiveJob& job : jobs) coefficients.push_back(job.evaluation->x0_from_latents);
  for (const ActiveJob& job : jobs) coefficients.push_back(job.evaluation->x0_from_output);
  const at::Tensor uploaded = UploadFloats(device_, coefficients).view({2, -1, 1, 1, 1});
  at::Tensor x0 = batch.x0();
  at::mul_out(x0, batch.latents(), uploaded.select(0, 0));
  x0.addcmul_(batch.model_output(), uploaded.select(0, 1));
  Clip(jobs, device_, x0);
  Threshold(jobs, x0);
}

void ProgramRunner::EstimateEachX0(absl::Span<const ActiveJob> jobs, SlotBatch& batch) const {
  for (size_t n = 0; n < jobs.size(); ++n) {
    const Evaluation& evaluation = *jobs[n].evaluation;
    const at::Tensor slots = batch.values.select(0, static_cast<int64_t>(n));
    at::Tensor x0 = slots.select(0, 2);
    x0.copy_(slots.select(0, 0)).mul_(evaluation.x0_from_latents);
    x0.add_(slots.select(0, 1), evaluation.x0_from_output);
  }
  Clip(jobs, device_, batch.x0());
  Threshold(jobs, batch.x0());
}

void ProgramRunner::DrawNoise(absl::Span<const ActiveJob> jobs, SlotBatch& batch) const {
  std::vector<int64_t> drawing;
  for (size_t n = 0; n < jobs.size(); ++n) {
    if (jobs[n].evaluation->draws_noise) drawing.push_back(static_cast<int64_t>(n));
  }
  if (drawing.empty()) return;
  const at::Tensor& values = batch.values;
  const at::Tensor host = device_.HostBuffer(
      {static_cast<int64_t>(drawing.size()), values.size(2), values.size(3), values.size(4)}, c10::ScalarType::Float);
  float* row = host.data_ptr<float>();
  for (const int64_t n : drawing) row = std::ranges::copy(jobs[static_cast<size_t>(n)].state->Noise(), row).out;
  at::Tensor column = NoiseOf(batch);
  if (drawing.size() == jobs.size()) {
    column.copy_(device_.Upload(host));
  } else {
    column.index_copy_(0, UploadIndices(device_, drawing), device_.Upload(host));
  }
}

at::Tensor ProgramRunner::Transitions(absl::Span<const ActiveJob> jobs, const SlotBatch& batch,
                                      const std::vector<Slot>& targets) const {
  const int64_t columns = static_cast<int64_t>(batch.columns.size());
  const int64_t rows = static_cast<int64_t>(targets.size());
  const std::array<int64_t, kSlotCount> column_of = IndexOf(batch.columns);
  const std::array<int64_t, kSlotCount> row_of = IndexOf(targets);
  std::vector<float> matrices(jobs.size() * targets.size() * batch.columns.size(), 0.0f);
  for (size_t n = 0; n < jobs.size(); ++n) {
    float* matrix = matrices.data() + static_cast<int64_t>(n) * rows * columns;
    SlotSet written{};
    for (const sampling::Term& term : jobs[n].evaluation->transition) {
      At(written, term.to) = true;
      const int64_t row = row_of[static_cast<size_t>(term.to)];
      // A slot that nobody reads later has no row.
      if (row >= 0) matrix[row * columns + column_of[static_cast<size_t>(term.from)]] += term.coefficient;
    }
    for (const Slot slot : jobs[n].state->slots()) {
      const size_t s = static_cast<size_t>(slot);
      if (!At(written, slot)) matrix[row_of[s] * columns + column_of[s]] = 1.0f;
    }
  }
  return UploadFloats(device_, matrices).view({static_cast<int64_t>(jobs.size()), rows, columns});
}

at::Tensor ProgramRunner::Next(absl::Span<const ActiveJob> jobs, const SlotBatch& batch,
                               const std::vector<Slot>& targets) const {
  const at::Tensor& values = batch.values;
  return at::bmm(Transitions(jobs, batch, targets), values.flatten(2))
      .view({values.size(0), static_cast<int64_t>(targets.size()), values.size(2), values.size(3), values.size(4)});
}

at::Tensor ProgramRunner::NextOfEach(absl::Span<const ActiveJob> jobs, const SlotBatch& batch,
                                     const std::vector<Slot>& targets) const {
  const at::Tensor& values = batch.values;
  const std::array<int64_t, kSlotCount> column_of = IndexOf(batch.columns);
  const std::array<int64_t, kSlotCount> row_of = IndexOf(targets);
  at::Tensor next =
      at::zeros({values.size(0), static_cast<int64_t>(targets.size()), values.size(2), values.size(3), values.size(4)},
                values.options());
  for (size_t n = 0; n < jobs.size(); ++n) {
    const at::Tensor from = values.select(0, static_cast<int64_t>(n));
    const at::Tensor to = next.select(0, static_cast<int64_t>(n));
    SlotSet written{};
    for (const sampling::Term& term : jobs[n].evaluation->transition) {
      At(written, term.to) = true;
      const int64_t row = row_of[static_cast<size_t>(term.to)];
      if (row < 0) continue;
      to.select(0, row).add_(from.select(0, column_of[static_cast<size_t>(term.from)]), term.coefficient);
    }
    for (const Slot slot : jobs[n].state->slots()) {
      const size_t s = static_cast<size_t>(slot);
      if (!At(written, slot)) to.select(0, row_of[s]).copy_(from.select(0, column_of[s]));
    }
  }
  return next;
}

}  // namespace stepcast::engine

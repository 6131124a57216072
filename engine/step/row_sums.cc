#include "engine/step/row_sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/std.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

namespace stepcast::engine {
namespace {

using sampling::Row;
using sampling::Weight;
using sampling::Window;

at::Tensor PartOf(const at::Tensor& picture, const Window& window) {
  if (window.whole()) return picture;
  return picture.narrow(2, window.top, window.height).narrow(3, window.left, window.width);
}

void Add(const at::Tensor& row, float weight, const Window& window, const at::Tensor& sum) {
  PartOf(sum, window).add_(row, weight);
}

}  // namespace

RowSums SumRows(const ActiveJob& job, const at::Tensor& output, const ComputeDevice& device) {
  const at::Tensor& latents = job.state->tensors().front();
  const auto zeros = [&] { return at::zeros({1, output.size(1), latents.size(1), latents.size(2)}, output.options()); };
  const sampling::Guidance& guidance = job.evaluation->guidance;
  const bool wants_cond = guidance.rescale != 0.0f || output.size(1) > latents.size(0);
  const auto begun = [&](const at::Tensor& sum) { return job.first_row > 0 ? sum.clone() : zeros(); };
  const RowSums& before = job.state->sums();
  TORCH_CHECK(before.rows == job.first_row, "row ", job.first_row, " follows ", before.rows, " rows");
  RowSums sums{
      .rows = job.last_row(), .guided = begun(before.guided), .cond = wants_cond ? begun(before.cond) : at::Tensor()};
  for (size_t i = 0; i < job.own_rows().size(); ++i) {
    const Row& row = job.own_rows()[i];
    at::Tensor prediction = output.narrow(0, static_cast<int64_t>(i), 1);
    if (row.map != nullptr) prediction = prediction * job.state->MapOf(row.map, device);
    Add(prediction, row.guided.At(guidance.scale), row.window, sums.guided);
    if (wants_cond) Add(prediction, row.cond.At(guidance.scale), row.window, sums.cond);
  }
  return sums;
}

at::Tensor Rescaled(const at::Tensor& combined, const at::Tensor& cond, const at::Tensor& phi) {
  const at::Tensor ratio = at::std(cond, {1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true) /
                           at::std(combined, {1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true);
  const at::Tensor factor = phi * ratio + (1.0 - phi);
  // Rows without rescale stay as they are even where the ratio is 0 / 0.
  return at::where(phi > 0.0, combined * factor, combined);
}

}  // namespace stepcast::engine

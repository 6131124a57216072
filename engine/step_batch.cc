#include "engine/step_batch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/std.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/upload.h"

namespace stepcast::engine {
namespace {

// Batches whose conditioning rows are kept: a few keys that alternate, and no more rows in all than a large batch or
// two have, because a row's keys and values are not small.
constexpr size_t kKeptBatches = 4;
constexpr size_t kKeptRows = 64;

using sampling::Evaluation;

bool IsGuided(const ActiveJob& job) { return job.evaluation->rows() == 2; }
bool IsEmbedded(const ActiveJob& job) { return job.evaluation->guidance.kind == sampling::GuidanceKind::kEmbedded; }

// `rows` and `padding` rows of zeros.
at::Tensor PadRows(const at::Tensor& rows, int64_t padding) {
  if (padding == 0) return rows;
  std::vector<int64_t> sizes = rows.sizes().vec();
  sizes.front() = padding;
  return at::cat({rows, at::zeros(sizes, rows.options())});
}

// Concatenates one input of the conditioning over all rows; undefined when the model has no such input.
at::Tensor CatRows(const std::vector<const Embedding*>& rows, int64_t padding,
                   at::Tensor model::Conditioning::* input) {
  if (!(rows.front()->conditioning.*input).defined()) return at::Tensor();
  std::vector<at::Tensor> parts;
  parts.reserve(rows.size());
  for (const Embedding* row : rows) parts.push_back(row->conditioning.*input);
  return PadRows(at::cat(parts), padding);
}

// Rescales `combined` towards the standard deviation of `cond`, per row, by phi [N, 1, 1, 1].
at::Tensor Rescale(const at::Tensor& combined, const at::Tensor& cond, const at::Tensor& phi) {
  const at::Tensor ratio = at::std(cond, {1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true) /
                           at::std(combined, {1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true);
  const at::Tensor factor = phi * ratio + (1.0 - phi);
  // Rows without rescale stay as they are even where the ratio is 0 / 0.
  return at::where(phi > 0.0, combined * factor, combined);
}

}  // namespace

RowLayout RowLayout::Of(absl::Span<const ActiveJob> jobs) {
  RowLayout layout;
  layout.all_guided = true;
  for (size_t n = 0; n < jobs.size(); ++n) {
    const bool guided = IsGuided(jobs[n]);
    layout.uncond_row.push_back(layout.rows());
    if (guided) layout.job_of_row.push_back(static_cast<int64_t>(n));
    layout.cond_row.push_back(layout.rows());
    layout.job_of_row.push_back(static_cast<int64_t>(n));
    layout.any_guided = layout.any_guided || guided;
    layout.all_guided = layout.all_guided && guided;
  }
  return layout;
}

at::Tensor StepBatch::Predict(absl::Span<const ActiveJob> jobs, const at::Tensor& latents) {
  const RowLayout layout = RowLayout::Of(jobs);
  TORCH_CHECK(Padding(layout) >= 0, layout.rows(), " rows in a forward of strict_rows ", strict_rows_);
  const model::ModelBundle& bundle = jobs.front().state->bundle();
  const at::Tensor timesteps = PerRow(jobs, layout, [](const Evaluation& e) { return e.timestep; });
  model::Conditioning conditioning = ConditioningRows(jobs, layout);
  if (std::ranges::any_of(jobs, IsEmbedded)) {
    conditioning.guidance_scales = PerRow(jobs, layout, [](const Evaluation& e) { return e.guidance.scale; });
  }
  const at::Tensor input = PadRows(DenoiserInput(jobs, layout, latents), Padding(layout)).to(bundle.dtype());
  const at::Tensor output = bundle.denoiser()(input, timesteps, conditioning).to(c10::ScalarType::Float);
  return strict_rows_ > 0 ? CombineEach(jobs, layout, output) : Combine(jobs, layout, output);
}

at::Tensor StepBatch::PerRow(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                             float (*value)(const Evaluation&)) const {
  std::vector<float> values;
  values.reserve(layout.job_of_row.size());
  for (const int64_t job : layout.job_of_row) values.push_back(value(*jobs[static_cast<size_t>(job)].evaluation));
  values.resize(values.size() + static_cast<size_t>(Padding(layout)), 0.0f);
  return UploadFloats(device_, values);
}

at::Tensor StepBatch::DenoiserInput(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                                    const at::Tensor& latents) const {
  at::Tensor rows =
      layout.any_guided ? at::index_select(latents, 0, UploadIndices(device_, layout.job_of_row)) : latents;
  const auto is_scaled = [](const ActiveJob& job) { return job.evaluation->input_scale != 1.0f; };
  if (std::ranges::none_of(jobs, is_scaled)) return rows.contiguous();
  const at::Tensor scales = PerRow(jobs, layout, [](const Evaluation& e) { return e.input_scale; });
  return rows.mul(scales.narrow(0, 0, layout.rows()).view({-1, 1, 1, 1}));
}

const model::Conditioning& StepBatch::ConditioningRows(absl::Span<const ActiveJob> jobs, const RowLayout& layout) {
  std::vector<const Embedding*> rows;
  rows.reserve(layout.job_of_row.size());
  for (const ActiveJob& job : jobs) {
    if (IsGuided(job)) rows.push_back(job.state->uncond.get());
    rows.push_back(job.state->cond.get());
  }
  std::vector<int64_t> ids;
  ids.reserve(rows.size());
  for (const Embedding* row : rows) ids.push_back(row->id);

  const auto same = [&ids](const KeptRows& kept) { return kept.embedding_ids == ids; };
  if (const auto it = std::ranges::find_if(kept_, same); it != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, it);
    return kept_.front().conditioning;
  }
  model::Conditioning conditioning;
  conditioning.prompt_embeds = CatRows(rows, Padding(layout), &model::Conditioning::prompt_embeds);
  conditioning.text_embeds = CatRows(rows, Padding(layout), &model::Conditioning::text_embeds);
  conditioning.time_ids = CatRows(rows, Padding(layout), &model::Conditioning::time_ids);
  conditioning.class_labels = CatRows(rows, Padding(layout), &model::Conditioning::class_labels);
  kept_.push_front({std::move(ids), jobs.front().state->bundle().denoiser().Prepare(conditioning)});
  DropOldRows();
  return kept_.front().conditioning;
}

void StepBatch::DropOldRows() {
  size_t rows = 0;
  size_t batches = 0;
  const auto old = std::ranges::find_if(kept_, [&](const KeptRows& kept) {
    rows += kept.embedding_ids.size();
    return ++batches > kKeptBatches || rows > kKeptRows;
  });
  // The newest stays whatever its size.
  kept_.erase(old == kept_.begin() ? std::next(old) : old, kept_.end());
}

at::Tensor StepBatch::Combine(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                              const at::Tensor& output) const {
  if (!layout.any_guided) return output;
  const int64_t channels = jobs.front().state->bundle().info()->latent_channels;
  if (output.size(1) > channels) {
    // Guidance is of the prediction; a variance beside it is that of the conditional row.
    const at::Tensor variance = at::index_select(output.narrow(1, channels, output.size(1) - channels), 0,
                                                 UploadIndices(device_, layout.cond_row));
    return at::cat({Combine(jobs, layout, output.narrow(1, 0, channels)), variance}, 1);
  }
  at::Tensor uncond;
  at::Tensor cond;
  if (layout.all_guided) {
    const at::Tensor pairs = output.unflatten(0, {layout.jobs(), 2});
    uncond = pairs.select(1, 0);
    cond = pairs.select(1, 1);
  } else {
    uncond = at::index_select(output, 0, UploadIndices(device_, layout.uncond_row));
    cond = at::index_select(output, 0, UploadIndices(device_, layout.cond_row));
  }
  std::vector<float> scales;
  std::vector<float> rescales;
  for (const ActiveJob& job : jobs) {
    scales.push_back(IsGuided(job) ? job.evaluation->guidance.scale : 1.0f);
    rescales.push_back(IsGuided(job) ? job.evaluation->guidance.rescale : 0.0f);
  }
  // A job that is not guided has one row for both: its difference is 0 and the row passes through.
  const at::Tensor combined = at::addcmul(uncond, cond - uncond, UploadFloats(device_, scales).view({-1, 1, 1, 1}));
  if (std::ranges::all_of(rescales, [](float phi) { return phi == 0.0f; })) return combined;
  return Rescale(combined, cond, UploadFloats(device_, rescales).view({-1, 1, 1, 1}));
}

// The same operations in the same shapes as for the job alone: a vectorised loop may treat the last few numbers of a
// batch otherwise than the rest.
at::Tensor StepBatch::CombineEach(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                                  const at::Tensor& output) const {
  std::vector<at::Tensor> each;
  each.reserve(jobs.size());
  for (size_t n = 0; n < jobs.size(); ++n) {
    const absl::Span<const ActiveJob> job = jobs.subspan(n, 1);
    const RowLayout own = RowLayout::Of(job);
    each.push_back(Combine(job, own, output.narrow(0, layout.uncond_row[n], own.rows())));
  }
  return at::cat(each);
}

}  // namespace stepcast::engine

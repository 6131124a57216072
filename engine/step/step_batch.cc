#include "engine/step/step_batch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>

#include "engine/device/upload.h"
#include "engine/step/row_sums.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;

// Of plain jobs.
bool IsGuided(const ActiveJob& job) { return job.rows->size() == 2; }
bool HasLongText(const ActiveJob& job) {
  const std::vector<ConditioningInput>& shown = job.state->recipe().conditionings;
  return std::ranges::any_of(job.rows->rows, [&](const sampling::Row& row) {
    return shown[static_cast<size_t>(row.conditioning)].text.chunks > 1;
  });
}
bool IsEmbedded(const ActiveJob& job) { return job.evaluation->guidance.kind == sampling::GuidanceKind::kEmbedded; }

}  // namespace

std::vector<GroupPrediction> StepBatch::Predict(absl::Span<const LatentGroup> groups) {
  if (strict_rows_ == 0) return PredictTogether(groups);
  const auto has_long = [](const LatentGroup& group) { return std::ranges::any_of(group.jobs, HasLongText); };
  const bool all = !SizeIsIndependent(groups.front());  // all rows see equal shapes
  return all || std::ranges::any_of(groups, has_long) ? PredictApart(groups, all) : PredictTogether(groups);
}

bool StepBatch::SizeIsIndependent(const LatentGroup& group) const {
  if (is_independent_ == nullptr) return true;
  const ActiveJob& job = group.jobs.front();
  const sampling::Window& window = job.rows->rows.front().window;
  const int64_t height = window.whole() ? group.latents.size(2) : window.height;
  const int64_t width = window.whole() ? group.latents.size(3) : window.width;
  return is_independent_(job.state->bundle(), height, width);
}

std::vector<GroupPrediction> StepBatch::PredictApart(absl::Span<const LatentGroup> groups, bool all) {
  const auto is_lonely = [all](const ActiveJob& job) { return all || HasLongText(job); };
  // One job each, those that share a forward first.
  std::vector<LatentGroup> jobs;
  std::vector<std::pair<size_t, size_t>> places;  // group, job
  for (const bool lonely : {false, true}) {
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t n = 0; n < groups[g].jobs.size(); ++n) {
        if (is_lonely(groups[g].jobs[n]) != lonely) continue;
        jobs.push_back({groups[g].jobs.subspan(n, 1), groups[g].latents.narrow(0, static_cast<int64_t>(n), 1)});
        places.emplace_back(g, n);
      }
    }
  }
  const auto first = std::ranges::find_if(jobs, [&](const LatentGroup& job) { return is_lonely(job.jobs[0]); });
  std::vector<GroupPrediction> each;
  if (first != jobs.begin()) each = PredictTogether({jobs.data(), static_cast<size_t>(first - jobs.begin())});
  for (auto job = first; job != jobs.end(); ++job) each.push_back(PredictTogether({&*job, 1}).front());

  std::vector<GroupPrediction> concluded(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    std::vector<at::Tensor> predictions(groups[g].jobs.size());
    std::vector<RowSums> sums(groups[g].jobs.size());
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i].first != g) continue;
      predictions[places[i].second] = each[i].prediction;
      if (!each[i].sums.empty()) sums[places[i].second] = std::move(each[i].sums.front());
    }
    if (groups[g].jobs.front().finishes()) {
      concluded[g].prediction = at::cat(predictions);
    } else {
      concluded[g].sums = std::move(sums);
    }
  }
  return concluded;
}

std::vector<GroupPrediction> StepBatch::PredictTogether(absl::Span<const LatentGroup> groups) {
  std::vector<ActiveJob> jobs;
  for (const LatentGroup& group : groups) jobs.insert(jobs.end(), group.jobs.begin(), group.jobs.end());
  const RowLayout layout = RowLayout::Of(jobs);
  TORCH_CHECK(Padding(layout) >= 0, layout.rows(), " rows in a forward of strict_rows ", strict_rows_);
  const model::ModelBundle& bundle = jobs.front().state->bundle();
  const at::Tensor timesteps = PerRow(jobs, layout, [](const Evaluation& e) { return e.timestep; });
  model::Conditioning conditioning = ConditioningRows(jobs, layout);
  if (std::ranges::any_of(jobs, IsEmbedded)) {
    conditioning.guidance_scales = PerRow(jobs, layout, [](const Evaluation& e) { return e.guidance.scale; });
  }
  const at::Tensor input = PadRows(DenoiserInput(jobs, layout, groups), Padding(layout));
  conditioning.residuals = control_.Residuals(jobs, layout, input, timesteps);
  const at::Tensor output =
      bundle.denoiser()(input.to(bundle.dtype()), timesteps, conditioning).to(c10::ScalarType::Float);
  std::vector<GroupPrediction> concluded;
  int64_t done = 0;
  for (const LatentGroup& group : groups) {
    const RowLayout own = groups.size() == 1 ? layout : RowLayout::Of(group.jobs);
    concluded.push_back(Conclude(group.jobs, own, output.narrow(0, done, own.rows())));
    done += own.rows();
  }
  return concluded;
}

GroupPrediction StepBatch::Conclude(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                                    const at::Tensor& output) const {
  if (jobs.front().finishes()) return {.prediction = Combine(jobs, layout, output), .sums = {}};
  GroupPrediction partial;
  for (size_t n = 0; n < jobs.size(); ++n) {
    const at::Tensor rows = output.narrow(0, layout.uncond_row[n], layout.rows_of(n));
    partial.sums.push_back(SumRows(jobs[n], rows, device_));
  }
  return partial;
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
                                    absl::Span<const LatentGroup> groups) const {
  at::Tensor rows = RowsOf(jobs, layout, groups);
  const auto is_scaled = [](const ActiveJob& job) { return job.evaluation->input_scale != 1.0f; };
  if (std::ranges::any_of(jobs, is_scaled)) {
    const at::Tensor scales = PerRow(jobs, layout, [](const Evaluation& e) { return e.input_scale; });
    rows = rows.mul(scales.narrow(0, 0, layout.rows()).view({-1, 1, 1, 1}));
  }
  // All or none, because they have one model.
  if (jobs.front().state->stage().inputs.empty()) return rows.contiguous();
  std::vector<at::Tensor> beside;
  for (const ActiveJob& job : jobs) {
    for (const sampling::Row& row : job.own_rows()) beside.push_back(job.state->InputsOf(row.inputs, device_));
  }
  return at::cat({rows, at::cat(beside)}, 1);
}

// What each row sees of its job's latents.
at::Tensor StepBatch::RowsOf(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                             absl::Span<const LatentGroup> groups) const {
  if (groups.size() == 1 && !layout.any_window) {
    const at::Tensor& latents = groups.front().latents;
    if (layout.rows() == layout.jobs()) return latents;
    return at::index_select(latents, 0, UploadIndices(device_, layout.job_of_row));
  }
  std::vector<at::Tensor> rows;
  rows.reserve(layout.job_of_row.size());
  auto job = jobs.begin();
  for (const LatentGroup& group : groups) {
    for (int64_t n = 0; n < group.latents.size(0); ++n, ++job) {
      const at::Tensor picture = group.latents.narrow(0, n, 1);
      for (const sampling::Row& row : job->own_rows()) {
        const sampling::Window& window = row.window;
        rows.push_back(window.whole()
                           ? picture
                           : picture.narrow(2, window.top, window.height).narrow(3, window.left, window.width));
      }
    }
  }
  return at::cat(rows);
}

const model::Conditioning& StepBatch::ConditioningRows(absl::Span<const ActiveJob> jobs, const RowLayout& layout) {
  std::vector<const Embedding*> rows;
  rows.reserve(layout.job_of_row.size());
  for (const ActiveJob& job : jobs) {
    for (const sampling::Row& row : job.own_rows()) rows.push_back(job.state->embedding(row.conditioning).get());
  }
  const model::Denoiser& denoiser = jobs.front().state->bundle().denoiser();
  return kept_.Of(
      rows, Padding(layout), [&](const model::Conditioning& all) { return denoiser.Prepare(all); },
      AdaptersOf(jobs, layout));
}

// Neighbours with equal adapters are one run; in strict mode each job's rows stay their own, so that a product has the
// shape that it has without neighbours.
std::shared_ptr<const model::RowAdapters> StepBatch::AdaptersOf(absl::Span<const ActiveJob> jobs,
                                                                const RowLayout& layout) const {
  std::vector<model::AdapterRun> runs;
  for (size_t n = 0; n < jobs.size();) {
    const std::vector<sampling::StageLora>& loras = jobs[n].state->stage().loras;
    const size_t first = n++;
    if (loras.empty()) continue;
    while (strict_rows_ == 0 && n < jobs.size() && jobs[n].state->stage().loras == loras) ++n;
    const int64_t end = n < jobs.size() ? layout.uncond_row[n] : layout.rows();
    for (const sampling::StageLora& lora : loras) {
      const SharedLora& held = jobs[first].state->loras.at(lora.key);
      if (held->denoiser == nullptr) continue;
      const int64_t row = layout.uncond_row[first];
      runs.push_back({.adapter = held->denoiser, .first = row, .rows = end - row, .scale = lora.scale});
    }
  }
  return runs.empty() ? nullptr : std::make_shared<const model::RowAdapters>(std::move(runs));
}

at::Tensor StepBatch::Combine(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                              const at::Tensor& output) const {
  return strict_rows_ > 0 || !layout.all_plain ? CombineEach(jobs, layout, output) : CombinePlain(jobs, layout, output);
}

at::Tensor StepBatch::CombinePlain(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                                   const at::Tensor& output) const {
  if (!layout.any_guided) return output;
  const int64_t channels = jobs.front().state->bundle().info()->latent_channels;
  if (output.size(1) > channels) {
    // Guidance is of the prediction; a variance beside it is that of the conditional row.
    const at::Tensor variance = at::index_select(output.narrow(1, channels, output.size(1) - channels), 0,
                                                 UploadIndices(device_, layout.cond_row));
    return at::cat({CombinePlain(jobs, layout, output.narrow(1, 0, channels)), variance}, 1);
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
  return Rescaled(combined, cond, UploadFloats(device_, rescales).view({-1, 1, 1, 1}));
}

at::Tensor StepBatch::CombineSums(const ActiveJob& job, const at::Tensor& output) const {
  const int64_t channels = job.state->tensors().front().size(0);
  const RowSums sums = SumRows(job, output, device_);
  at::Tensor combined = sums.guided.narrow(1, 0, channels);
  const float phi = job.evaluation->guidance.rescale;
  if (phi != 0.0f) {
    combined = Rescaled(combined, sums.cond.narrow(1, 0, channels), UploadFloats(device_, {phi}).view({-1, 1, 1, 1}));
  }
  if (output.size(1) == channels) return combined;
  return at::cat({combined, sums.cond.narrow(1, channels, output.size(1) - channels)}, 1);
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
    const at::Tensor rows = output.narrow(0, layout.uncond_row[n], own.rows());
    each.push_back(own.all_plain ? CombinePlain(job, own, rows) : CombineSums(job[0], rows));
  }
  return at::cat(each);
}

}  // namespace stepcast::engine

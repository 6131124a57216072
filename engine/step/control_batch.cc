#include "engine/step/control_batch.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>

#include "engine/device/upload.h"

namespace stepcast::engine {
namespace {

using sampling::Row;
using sampling::StageControl;

bool IsAt(const StageControl& control, int evaluation) {
  return control.first_evaluation <= evaluation && evaluation < control.end_evaluation;
}

// Whether the row has a share of the conditional prediction, beside which alone nets that guess work.
bool IsConditional(const Row& row) { return !row.cond.never(); }

at::Tensor WindowOf(const at::Tensor& hint, const sampling::Window& window) {
  if (window.whole()) return hint;
  return hint.narrow(1, window.top, window.height).narrow(2, window.left, window.width);
}

}  // namespace

const ShelvedControlNet& ControlBatch::NetOf(const StageControl& control) const {
  const SharedControlNet net = nets_ == nullptr ? nullptr : nets_->Find(control.network);
  TORCH_CHECK(net != nullptr, "ControlNet '", control.network, "' is not loaded");
  return *net;  // held by the shelf
}

// Pictures that one union net is shown are one call, in which all of them take part as long as one of them does: as
// diffusers has it.
void ControlBatch::AddCalls(const ActiveJob& job, int64_t first_row, Groups& groups) const {
  const std::vector<StageControl>& controls = job.state->stage().control;
  if (controls.empty()) return;
  const auto evaluation = static_cast<int>(job.evaluation - job.state->program().evaluations.data());
  std::map<std::pair<const ShelvedControlNet*, bool>, std::vector<const StageControl*>> unions;
  std::vector<std::pair<const ShelvedControlNet*, std::vector<const StageControl*>>> calls;
  for (const StageControl& control : controls) {
    const ShelvedControlNet& net = NetOf(control);
    if (net.info.union_types > 0) {
      unions[{&net, control.guess_mode}].push_back(&control);
    } else {
      calls.push_back({&net, {&control}});
    }
  }
  for (auto& [net, shown] : unions) calls.emplace_back(net.first, std::move(shown));
  for (const auto& [net, shown] : calls) {
    const auto is_at = [&](const StageControl* control) { return IsAt(*control, evaluation); };
    if (std::ranges::none_of(shown, is_at)) continue;
    const bool guess = shown.front()->guess_mode;
    int64_t number = first_row;
    for (const Row& row : job.own_rows()) {
      const int64_t at = number++;
      if ((guess || net->info.pools) && !IsConditional(row)) continue;
      Call call{.row = at, .shows = job.state->embedding(row.conditioning).get(), .guess = guess};
      for (const StageControl* control : shown) {
        call.hints.push_back({.embedding = WindowOf(job.state->picture(control->picture)->mean, row.window),
                              .type = control->control_type.value_or(0),
                              .scale = is_at(control) ? control->scale : 0.0f});
      }
      groups[{net, shown.size()}].push_back(std::move(call));
    }
  }
}

std::vector<model::RowResiduals> ControlBatch::Residuals(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                                                         const at::Tensor& input, const at::Tensor& timesteps) {
  Groups groups;
  for (size_t n = 0; n < jobs.size(); ++n) AddCalls(jobs[n], layout.uncond_row[n], groups);
  std::vector<model::RowResiduals> residuals;
  for (const auto& [group, calls] : groups) {
    const size_t most = strict_rows_ > 0 ? static_cast<size_t>(strict_rows_) : calls.size();
    for (absl::Span<const Call> left = calls; !left.empty();) {
      residuals.push_back(Run(*group.first, left.subspan(0, most), input, timesteps));
      left.remove_prefix(std::min(most, left.size()));
    }
  }
  return residuals;
}

model::RowResiduals ControlBatch::Run(const ShelvedControlNet& net, absl::Span<const Call> calls,
                                      const at::Tensor& input, const at::Tensor& timesteps) {
  const model::ControlNet& network = *net.net;
  const auto count = static_cast<int64_t>(calls.size());
  const int64_t padding = strict_rows_ > 0 ? strict_rows_ - count : 0;
  model::RowResiduals residuals;
  std::vector<const Embedding*> shows;
  model::ControlInputs inputs;
  for (const Call& call : calls) {
    residuals.rows.push_back(call.row);
    shows.push_back(call.shows);
    inputs.guess.push_back(call.guess);
  }
  inputs.guess.resize(static_cast<size_t>(count + padding), false);
  for (size_t i = 0; i < calls.front().hints.size(); ++i) {
    std::vector<at::Tensor> embeddings;
    std::vector<float> scales;
    model::ControlHint& hint = inputs.hints.emplace_back();
    for (const Call& call : calls) {
      embeddings.push_back(call.hints[i].embedding);
      scales.push_back(call.hints[i].scale);
      if (net.info.union_types > 0) hint.types.push_back(call.hints[i].type);
    }
    hint.embedding = PadRows(at::stack(embeddings), padding);
    scales.resize(static_cast<size_t>(count + padding), 0.0f);
    hint.scale = UploadFloats(device_, scales);
    if (net.info.union_types > 0) hint.types.resize(static_cast<size_t>(count + padding), 0);
  }
  const at::Tensor rows = UploadIndices(device_, residuals.rows);
  const at::Tensor latents = at::index_select(input, 0, rows).narrow(1, 0, net.info.shape.latent_channels);
  const model::Conditioning& conditioning =
      kept_[net.info.id].Of(shows, padding, [&](const model::Conditioning& all) { return network.Prepare(all); });
  model::ControlResiduals all = network(PadRows(latents, padding).to(network.dtype()),
                                        PadRows(at::index_select(timesteps, 0, rows), padding), conditioning, inputs);
  for (at::Tensor& down : all.down) residuals.down.push_back(down.narrow(0, 0, count));
  residuals.mid = all.mid.narrow(0, 0, count);
  return residuals;
}

}  // namespace stepcast::engine

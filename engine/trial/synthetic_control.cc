#include "engine/trial/synthetic_control.h"

#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>

#include <numeric>
#include <utility>

#include "engine/trial/synthetic_tick.h"

namespace stepcast::engine {

std::vector<model::RowResiduals> SyntheticResiduals(absl::Span<const SharedControlNet> nets, const at::Tensor& input,
                                                    const at::Tensor& timesteps, const model::Conditioning& shows) {
  const int64_t rows = input.size(0);
  const at::TensorOptions floats = timesteps.options();
  std::vector<model::RowResiduals> residuals;
  for (const SharedControlNet& shelved : nets) {
    const model::ControlNet& net = *shelved->net;
    const int64_t height = input.size(2) * shelved->info.shape.pixels_per_cell;
    const int64_t width = input.size(3) * shelved->info.shape.pixels_per_cell;
    const at::Tensor picture = at::linspace(0, 1, 3 * height * width, floats).view({1, 3, height, width});
    const at::Tensor hint = net.EmbedHint(picture);
    model::ControlInputs inputs;
    inputs.guess.assign(static_cast<size_t>(rows), false);
    inputs.hints.push_back(
        {.embedding = hint.expand({rows, -1, -1, -1}), .types = {}, .scale = at::ones({rows}, floats)});
    if (shelved->info.union_types > 0) inputs.hints.front().types.assign(static_cast<size_t>(rows), 0);
    model::ControlResiduals all = net(input.narrow(1, 0, shelved->info.shape.latent_channels).to(net.dtype()),
                                      timesteps, ForRows(net.Prepare(shows), rows), inputs);
    model::RowResiduals& added = residuals.emplace_back();
    added.rows.resize(static_cast<size_t>(rows));
    std::iota(added.rows.begin(), added.rows.end(), 0);
    added.down = std::move(all.down);
    added.mid = std::move(all.mid);
  }
  return residuals;
}

}  // namespace stepcast::engine

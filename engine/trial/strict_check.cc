#include "engine/trial/strict_check.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/zeros_like.h>

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "engine/device/upload.h"
#include "engine/trial/synthetic_control.h"
#include "engine/trial/synthetic_tick.h"
#include "sampling/program/noise_generator.h"

namespace stepcast::engine {
namespace {

at::Tensor RandomLatents(const ModelInfo& info, const ComputeDevice& device, int64_t rows, const Cells& cells) {
  const int64_t height = cells.height > 0 ? cells.height : info.defaults.height / info.vae_scale_factor;
  const int64_t width = cells.width > 0 ? cells.width : info.defaults.width / info.vae_scale_factor;
  const int64_t channels = info.latent_channels + ExtraChannels(info);
  std::vector<float> values(static_cast<size_t>(rows * channels * height * width));
  sampling::NoiseGenerator(1).Fill(absl::MakeSpan(values));
  return UploadFloats(device, values).view({rows, channels, height, width});
}

}  // namespace

bool RowsAreIndependent(const model::ModelBundle& bundle, const ComputeDevice& device, int rows,
                        absl::Span<const SharedControlNet> nets, Cells cells) {
  const at::Tensor latents = RandomLatents(*bundle.info(), device, rows, cells).to(bundle.dtype());
  const at::Tensor timesteps = at::arange(1, rows + 1, latents.options().dtype(c10::ScalarType::Float)).mul_(7.0);
  const model::Conditioning shows = bundle.conditioner().Encode({AnyInput(*bundle.info())});
  const model::Conditioning conditioning = ForRows(bundle.denoiser().Prepare(shows), rows);
  const auto predict = [&](const at::Tensor& input, const at::Tensor& times) {
    model::Conditioning controlled = conditioning;
    controlled.residuals = SyntheticResiduals(nets, input, times, shows);
    return bundle.denoiser()(input, times, controlled);
  };
  const at::Tensor together = predict(latents, timesteps);
  // Every row one place on: if that changes nothing, all places are alike.
  const at::Tensor moved = predict(at::roll(latents, 1, 0), at::roll(timesteps, 1, 0));
  if (!at::equal(at::roll(moved, -1, 0), together)) return false;
  at::Tensor lonely = at::zeros_like(latents);
  lonely.select(0, 0).copy_(latents.select(0, 0));
  return at::equal(predict(lonely, timesteps).select(0, 0), together.select(0, 0));
}

absl::Span<const int> StrictCandidates(bool cpu) {
  static constexpr int kCpu[] = {2, 3, 4, 6, 8, 12, 16};  // 3, 6, 12: tiles of AVX2 kernels; the rest: of AVX-512's
  static constexpr int kCuda[] = {8, 16, 32};
  return cpu ? absl::MakeConstSpan(kCpu) : absl::MakeConstSpan(kCuda);
}

absl::StatusOr<StrictChoice> ChooseStrictRows(absl::Span<const int> candidates, int max_rows,
                                              const StrictProbe& probe) {
  StrictChoice choice;
  for (const int rows : candidates) {
    if (rows > max_rows) continue;
    STEPCAST_ASSIGN_OR_RETURN(const std::optional<std::string> dependent, probe(rows));
    if (!dependent.has_value()) {
      choice.rows = rows;
      return choice;
    }
    choice.failed.push_back(rows);
  }
  choice.rows = 2;
  choice.one_job = true;
  return choice;
}

absl::Status CheckStrictRows(int rows, absl::Span<const int> candidates, int max_rows, const StrictProbe& probe) {
  STEPCAST_ASSIGN_OR_RETURN(const std::optional<std::string> dependent, probe(rows));
  if (!dependent.has_value()) return absl::OkStatus();
  std::vector<int> pass;
  std::vector<int> checked;
  for (const int other : candidates) {
    if (other > max_rows || other == rows) continue;
    checked.push_back(other);
    STEPCAST_ASSIGN_OR_RETURN(const std::optional<std::string> at_fault, probe(other));
    if (!at_fault.has_value()) pass.push_back(other);
  }
  const std::string remedy = pass.empty() ? absl::StrCat("none of ", absl::StrJoin(checked, ", "), " passes")
                                          : absl::StrCat("checked and fine: ", absl::StrJoin(pass, ", "));
  return absl::FailedPreconditionError(absl::StrCat("strict_rows is ", rows, ", but rows of model '", *dependent,
                                                    "' influence each other in their last bits at that count here; ",
                                                    remedy, "; or strict_rows auto"));
}

}  // namespace stepcast::engine

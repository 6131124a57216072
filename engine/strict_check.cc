#include "engine/strict_check.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/zeros_like.h>

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "engine/synthetic_tick.h"
#include "engine/upload.h"
#include "sampling/noise_generator.h"

namespace stepcast::engine {
namespace {

at::Tensor RandomLatents(const ModelInfo& info, const ComputeDevice& device, int64_t rows) {
  const int64_t height = info.defaults.height / info.vae_scale_factor;
  const int64_t width = info.defaults.width / info.vae_scale_factor;
  std::vector<float> values(static_cast<size_t>(rows * info.latent_channels * height * width));
  sampling::NoiseGenerator(1).Fill(absl::MakeSpan(values));
  return UploadFloats(device, values).view({rows, info.latent_channels, height, width});
}

}  // namespace

bool RowsAreIndependent(const model::ModelBundle& bundle, const ComputeDevice& device, int rows) {
  const at::Tensor latents = RandomLatents(*bundle.info(), device, rows).to(bundle.dtype());
  const at::Tensor timesteps = at::arange(1, rows + 1, latents.options().dtype(c10::ScalarType::Float)).mul_(7.0);
  const model::Conditioning conditioning =
      ForRows(bundle.denoiser().Prepare(bundle.conditioner().Encode({AnyInput(*bundle.info())})), rows);
  const at::Tensor together = bundle.denoiser()(latents, timesteps, conditioning);
  const at::Tensor turned = bundle.denoiser()(latents.flip({0}), timesteps.flip({0}), conditioning);
  if (!at::equal(turned.flip({0}), together)) return false;
  at::Tensor lonely = at::zeros_like(latents);
  lonely.select(0, 0).copy_(latents.select(0, 0));
  return at::equal(bundle.denoiser()(lonely, timesteps, conditioning).select(0, 0), together.select(0, 0));
}

}  // namespace stepcast::engine

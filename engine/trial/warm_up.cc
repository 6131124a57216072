#include "engine/trial/warm_up.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "engine/trial/synthetic_control.h"
#include "engine/trial/synthetic_tick.h"
#include "model/classifier.h"

namespace stepcast::engine {
namespace {

void RunOnce(const model::ModelBundle& bundle, const ComputeDevice& device, const SyntheticTick& shape) {
  const c10::InferenceMode inference_mode;
  SyntheticTicks ticks(device);
  SyntheticTick tick = shape;
  for (const Phase phase : {Phase::kEncode, Phase::kEncodePicture, Phase::kDenoise, Phase::kPreview, Phase::kDecode}) {
    tick.phase = phase;
    tick.rows = phase == Phase::kDenoise ? shape.rows : 1;
    ticks.Run(bundle, tick);
  }
  if (bundle.classifier() == nullptr) return;
  const at::TensorOptions floats = at::TensorOptions(c10::ScalarType::Float).device(bundle.device());
  const at::Tensor latents =
      at::zeros({2, bundle.info()->latent_channels, shape.latent_height, shape.latent_width}, floats);
  bundle.classifier()->Gradient(latents, at::ones({2}, floats), at::zeros({2}, floats.dtype(c10::ScalarType::Long)));
}

}  // namespace

absl::Status WarmUp(const model::ModelBundle& bundle, const ComputeDevice& device, int rows, WarmUpSize size,
                    const TorchGuard& guard) {
  const ModelInfo& info = *bundle.info();
  const bool smallest = size == WarmUpSize::kSmallest;
  const SyntheticTick shape = {
      .latent_height = (smallest ? info.limits.min_side : info.defaults.height) / info.vae_scale_factor,
      .latent_width = (smallest ? info.limits.min_side : info.defaults.width) / info.vae_scale_factor,
      .rows = rows};
  return guard.Run(absl::StrCat("warm-up of model '", info.id, "'"), [&] {
    device.BindThread();
    RunOnce(bundle, device, shape);
  });
}

absl::Status WarmUpControl(const model::ModelBundle& bundle, absl::Span<const SharedControlNet> nets,
                           const ComputeDevice& device, int rows, const TorchGuard& guard) {
  if (nets.empty()) return absl::OkStatus();
  const ModelInfo& info = *bundle.info();
  return guard.Run(absl::StrCat("warm-up of the ControlNets of model '", info.id, "'"), [&] {
    const c10::InferenceMode inference_mode;
    device.BindThread();
    const at::TensorOptions floats = at::TensorOptions(c10::ScalarType::Float).device(bundle.device());
    const at::Tensor input =
        at::zeros({rows, info.latent_channels + ExtraChannels(info), info.defaults.height / info.vae_scale_factor,
                   info.defaults.width / info.vae_scale_factor},
                  floats);
    const at::Tensor timesteps = at::ones({rows}, floats);
    const model::Conditioning shows = bundle.conditioner().Encode({AnyInput(info)});
    model::Conditioning all = ForRows(bundle.denoiser().Prepare(shows), rows);
    all.residuals = SyntheticResiduals(nets, input, timesteps, shows);
    bundle.denoiser()(input.to(bundle.dtype()), timesteps, all);
    device.Synchronize();
  });
}

}  // namespace stepcast::engine

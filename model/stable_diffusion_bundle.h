#pragma once
// Stable Diffusion 1 and 2: one CLIP text tower, a text-conditioned U-Net, a KL autoencoder.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_bundle.h"
#include "model/model_index.h"
#include "model/preview/linear_preview_decoder.h"
#include "model/text_encoder/text_conditioner.h"
#include "model/unet/unet_2d_condition_model.h"
#include "model/vae/autoencoder_kl.h"

namespace stepcast::model {

class StableDiffusionBundle final : public ModelBundle {
 public:
  // The parts, once loaded.
  struct Parts {
    SharedModelInfo info;
    std::unique_ptr<const TextConditioner> conditioner;
    std::unique_ptr<const UNet2DConditionModel> denoiser;
    std::unique_ptr<const AutoencoderKL> codec;
    std::unique_ptr<const LinearPreviewDecoder> preview;
    std::vector<std::string> warnings;
  };

  // Whether `pipeline_class` is one of this family's.
  static bool Accepts(absl::string_view pipeline_class);
  // As ModelBundle::Load, for a folder whose index is read. REQUIRES: Accepts(index.pipeline_class).
  static absl::StatusOr<std::shared_ptr<const ModelBundle>> Load(const ModelIndex& index, const LoadOptions& options);

  StableDiffusionBundle(Parts parts, c10::Device device, c10::ScalarType dtype)
      : parts_(std::move(parts)), device_(device), dtype_(dtype) {}

  const SharedModelInfo& info() const override { return parts_.info; }
  const Conditioner& conditioner() const override { return *parts_.conditioner; }
  const Denoiser& denoiser() const override { return *parts_.denoiser; }
  const LatentCodec& codec() const override { return *parts_.codec; }
  const PreviewDecoder& preview() const override { return *parts_.preview; }
  c10::Device device() const override { return device_; }
  c10::ScalarType dtype() const override { return dtype_; }
  const std::vector<std::string>& warnings() const override { return parts_.warnings; }

 private:
  Parts parts_;
  c10::Device device_;
  c10::ScalarType dtype_;
};

}  // namespace stepcast::model

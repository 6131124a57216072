#pragma once
// Stable Diffusion 1 and 2: one CLIP text tower, a text-conditioned U-Net, a KL autoencoder.

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/files/model_index.h"
#include "model/model_bundle.h"

namespace stepcast::model {

// Whether `pipeline_class` is one of this family's.
bool IsStableDiffusion(absl::string_view pipeline_class);

// As ModelBundle::Load, for a folder whose index is read. REQUIRES: IsStableDiffusion(index.pipeline_class).
absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadStableDiffusion(const ModelIndex& index,
                                                                       const LoadOptions& options);

}  // namespace stepcast::model

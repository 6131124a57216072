#pragma once
// Stable Diffusion XL and its refiner (Podell et al. 2023): CLIP text towers, of which the last also gives a pooled
// embedding, a U-Net that is told the picture's size, a KL autoencoder.

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/files/model_index.h"
#include "model/model_bundle.h"

namespace stepcast::model {

// Whether `pipeline_class` is one of this family's.
bool IsStableDiffusionXl(absl::string_view pipeline_class);

// As ModelBundle::Load, for a folder whose index is read. Base models have text_encoder and text_encoder_2, refiners
// the second alone; whether the U-Net is told a target size or an aesthetic score follows from the width of its
// add_embedding. REQUIRES: IsStableDiffusionXl(index.pipeline_class).
absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadStableDiffusionXl(const ModelIndex& index,
                                                                         const LoadOptions& options);

}  // namespace stepcast::model

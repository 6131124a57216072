#pragma once
// Class-conditional and unconditional latent diffusion (Rombach et al. 2022): a U-Net without text, a KL autoencoder, a
// class table, and perhaps a classifier of noised latents.

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/model_bundle.h"
#include "model/model_index.h"

namespace stepcast::model {

// Whether `pipeline_class` is one of this family's.
bool IsClassConditional(absl::string_view pipeline_class);

// As ModelBundle::Load, for a folder whose index is read. The index may list `id2label` (class index -> label, as DiT
// repositories have it) and `null_class`, the row of the class table that stands for "any class"; without the latter it
// is the row after the labels, if there is one. A U-Net without classes makes an unconditional model.
// REQUIRES: IsClassConditional(index.pipeline_class).
absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadClassConditional(const ModelIndex& index,
                                                                        const LoadOptions& options);

}  // namespace stepcast::model

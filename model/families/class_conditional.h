#pragma once
// Diffusion by class or from noise alone, with a U-Net that reads no text: in the latents of an autoencoder (Rombach et
// al. 2022), or in pixels (Ho et al. 2020, Song et al. 2021). Perhaps with a classifier of noised latents.

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/files/model_index.h"
#include "model/model_bundle.h"

namespace stepcast::model {

// Whether `pipeline_class` is one of this family's.
bool IsClassConditional(absl::string_view pipeline_class);

// As ModelBundle::Load, for a folder whose index is read. The index may list `id2label` (class index -> label, as DiT
// repositories have it) and `null_class`, the row of the class table that stands for "any class"; without the latter it
// is the row after the labels, if there is one. A U-Net without classes makes an unconditional model. Pipelines of
// pixels and diffusers' unconditional ones load alike; all of them may have classes.
// REQUIRES: IsClassConditional(index.pipeline_class).
absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadClassConditional(const ModelIndex& index,
                                                                        const LoadOptions& options);

}  // namespace stepcast::model

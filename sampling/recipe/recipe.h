#pragma once
// Everything that makes one picture of a request, as plain values: what an executor carries out.

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "core/conditioning_input.h"
#include "sampling/recipe/stage.h"

namespace stepcast::sampling {

// Immutable; shared by the pictures of a request, which differ in their seeds only.
struct Recipe {
  std::vector<ConditioningInput> conditionings;  // no two are equal
  std::vector<PictureSource> pictures = {};      // each is used by some stage
  std::vector<Stage> stages = {};                // at least one; the last one's latents are the picture
};
using SharedRecipe = std::shared_ptr<const Recipe>;

// The pictures that `stage` needs, indices into Recipe::pictures, each once: first those whose draws come before the
// initial noise (start and blend), then the others, in the order in which they are named.
std::vector<int> PicturesOf(const Stage& stage);
// Those that come before the initial noise.
bool DrawsBeforeNoise(const Stage& stage, int picture);

// Whether every evaluation of `recipe` has a row set, each of those is what CheckRowSet allows, every stage can begin
// with what it is given (the first one with noise or a picture, each other one with the latents of the one before or a
// picture), and what its denoiser reads, keeps and is controlled by is there and has its size. Errors: INVALID_ARGUMENT
// saying what is wrong.
absl::Status CheckRecipe(const Recipe& recipe);

}  // namespace stepcast::sampling

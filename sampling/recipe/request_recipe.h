#pragma once
// From a request to the recipe of its pictures.

#include "core/generation_request.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/recipe.h"

namespace stepcast::sampling {

// One stage from noise, or from the request's picture, to the picture: the prompt or class of `request`, what it is
// guided away from where `program` is guided, what its denoiser sees and what is kept of the picture it came with.
// `inversion`: the stage before, which `program` goes on from; null: none.
SharedRecipe RecipeOf(const GenerationRequest& request, SharedProgram program, SharedProgram inversion = nullptr);

}  // namespace stepcast::sampling

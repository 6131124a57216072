#include "scheduler/words/job_spec.h"

#include <utility>

#include "sampling/recipe/request_recipe.h"
#include "scheduler/words/tile_work.h"

namespace stepcast {

JobSpec MakeJobSpec(SharedRequest request, sampling::SharedRecipe recipe) {
  JobSpec spec;
  spec.request = std::move(request);
  spec.work = CompileWork(*recipe, spec.request->resume == nullptr ? 0 : spec.request->resume->evaluations);
  if (spec.request->vae_tiling) spec.work = InTiles(spec.work, *recipe);
  spec.recipe = std::move(recipe);
  return spec;
}

JobSpec MakeJobSpec(SharedRequest request, sampling::SharedProgram program, sampling::SharedProgram inversion) {
  sampling::SharedRecipe recipe = sampling::RecipeOf(*request, std::move(program), std::move(inversion));
  return MakeJobSpec(std::move(request), std::move(recipe));
}

}  // namespace stepcast

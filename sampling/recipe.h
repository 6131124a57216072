#pragma once
// Everything that makes one picture of a request, as plain values: what an executor carries out.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "core/conditioning_input.h"
#include "core/generation_request.h"
#include "core/model_info.h"
#include "sampling/row_set.h"
#include "sampling/sampling_program.h"

namespace stepcast::sampling {

// What a stage begins with.
enum class StageStart : uint8_t {
  kNoise,    // noise alone
  kLatents,  // what the stage before has come to, and, where the program's start has a share of noise, the first
             // normals of a fresh generator with the picture's seed
};

// How latents of one size become latents of another. As torch's interpolate with align_corners off.
enum class LatentResize : uint8_t {
  kNone,
  kNearest,
  kNearestExact,
  kBilinear,
  kBilinearAntialias,
  kBicubic,
  kBicubicAntialias,
};

// One pass of one model over latents of one size.
struct Stage {
  SharedModelInfo model;
  SharedProgram program;
  std::vector<RowSet> row_sets;  // by RowSetOf(evaluation)
  int latent_height = 0;
  int latent_width = 0;
  StageStart start = StageStart::kNoise;
  LatentResize resize = LatentResize::kNone;  // of kLatents: where the sizes differ

  const RowSet& RowsOf(const Evaluation& evaluation) const {
    return row_sets[static_cast<size_t>(RowSetOf(evaluation))];
  }
};

// Immutable; shared by the pictures of a request, which differ in their seeds only.
struct Recipe {
  std::vector<ConditioningInput> conditionings;  // no two are equal
  std::vector<Stage> stages;                     // at least one; the last one's latents are the picture
};
using SharedRecipe = std::shared_ptr<const Recipe>;

// One stage from noise to the picture: the prompt or class of `request`, and, where `program` is guided, what it is
// guided away from.
SharedRecipe PlainRecipe(const GenerationRequest& request, SharedProgram program);

// Whether every evaluation of `recipe` has a row set, each of those is what CheckRowSet allows, and every stage can
// begin with what it is given: the first one with noise, each other one with the latents of the one before. Errors:
// INVALID_ARGUMENT saying what is wrong.
absl::Status CheckRecipe(const Recipe& recipe);

}  // namespace stepcast::sampling

#pragma once
// What one text tower reads of prompts, and what the weights of their words do to what it says.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "model/conditioner.h"
#include "model/text_encoder/clip_text_config.h"

namespace stepcast::model {

// Vectors that stand in place of a token's own.
struct TokenVectors {
  int64_t row = 0;
  int64_t position = 0;
  at::Tensor vector;  // [hidden] float32
};

// A row per chunk: those of the first prompt, of the second, and so on.
struct TowerInput {
  at::Tensor ids;  // [R, L] int64; 0 where a vector stands
  std::vector<TokenVectors> vectors = {};
  std::shared_ptr<const RowAdapters> adapters = nullptr;  // of the rows; null: none has any
};

// Of the rows of one forward. Throws c10::Error unless each has `towers` lists of one length, as many chunks and the
// clip_skip of the first, ids and vectors that the tower can read, 0 <= clip_skip < layers, and a weight per id or
// none.
TowerInput ReadTower(const std::vector<ConditioningInput>& inputs, size_t tower, size_t towers,
                     const ClipTextConfig& config);

// `states` [R, L, hidden] of the rows of ReadTower, those of weighted prompts multiplied by their weights, in float32.
// Where a prompt asks for it, each chunk then gets its mean back, unless weighing has left next to nothing of it.
at::Tensor WithWeights(const at::Tensor& states, const std::vector<ConditioningInput>& inputs, size_t tower);

// [P * chunks, L, hidden] -> [P, chunks * L, hidden], a view.
at::Tensor JoinChunks(const at::Tensor& states, int chunks);

}  // namespace stepcast::model

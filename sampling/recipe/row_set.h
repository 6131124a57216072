#pragma once
// What one denoiser evaluation sums: every guidance in use is linear in the predictions of several rows.
//
//   prediction = sum over rows i of W_i * place_i( denoiser( crop_i(latents), timestep, conditioning_i ) )
//
// A program tells of each evaluation which row set it sums (RowSetOf) and at what scale; the sets are a stage's, so
// that programs know no prompts and no places in the picture, and are shared by whoever has equal settings.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "sampling/program/sampling_program.h"

namespace stepcast::sampling {

// A part of the latents, in cells. The whole of them while it has no size.
struct Window {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;

  bool whole() const { return height == 0; }

  friend bool operator==(const Window&, const Window&) = default;
};

// A row's share of a sum: constant + scale * per_scale, with the scale of the evaluation's guidance.
struct Weight {
  float constant = 0.0f;
  float per_scale = 0.0f;

  float At(float scale) const { return constant + scale * per_scale; }
  bool never() const { return constant == 0.0f && per_scale == 0.0f; }

  friend bool operator==(const Weight&, const Weight&) = default;
};

// A number for each cell of a window, row by row.
struct WeightMap {
  int height = 0;
  int width = 0;
  std::vector<float> values;
};
using SharedWeightMap = std::shared_ptr<const WeightMap>;

// One row of a forward.
struct Row {
  int conditioning = 0;  // index into Recipe::conditionings
  Window window = {};
  int inputs = 0;  // index into Stage::inputs, where the denoiser reads more than latents
  // Of its prediction in the three sums over the picture: the guided one; the conditional one, which rescaled guidance
  // is measured by and a learned variance is; the unconditional one.
  Weight guided = {.constant = 1.0f};
  Weight cond = {.constant = 1.0f};
  Weight uncond = {};
  SharedWeightMap map = nullptr;  // multiplies all three; of the window's size; null: 1 everywhere

  friend bool operator==(const Row&, const Row&) = default;
};

// The rows of one evaluation, in the order in which they stand in a forward and are added.
struct RowSet {
  std::vector<Row> rows;

  int size() const { return static_cast<int>(rows.size()); }
};

// The rows of an evaluation that is not guided, and of one with classifier-free guidance: u + scale * (c - u).
RowSet PlainRow(int cond);
RowSet PlainPair(int uncond, int cond);

// A prompt among those that a picture follows at once.
struct PromptRow {
  int conditioning = 0;
  float weight = 1.0f;
};

// Whether `prompts` is one, of weight 1.
bool IsWhole(const std::vector<PromptRow>& prompts);
// The same for several prompts c_i of weights w_i (Liu et al. 2022): u + sum of w_i * (c_i - u), and guided
// u + scale * sum of w_i * (c_i - u). The conditional sum is the prompts' weighted mean. Those of a whole prompt are
// the two above; `uncond` is not read where no row has it. REQUIRES: at least one prompt.
RowSet UnguidedRows(int uncond, const std::vector<PromptRow>& prompts);
RowSet GuidedRows(int uncond, const std::vector<PromptRow>& prompts);
// Their rows of prompts alone, each with `guided` times its weight.
std::vector<Row> RowsOfPrompts(const std::vector<PromptRow>& prompts, const Weight& guided);
// What their weights come to.
float SumOfWeights(const std::vector<PromptRow>& prompts);

// Whether a set is PlainRow or PlainPair, whatever its conditionings: those need no sums.
bool IsPlain(const RowSet& set);

// The set that `evaluation` sums, an index into Stage::row_sets.
inline int RowSetOf(const Evaluation& evaluation) {
  return evaluation.guidance.kind == GuidanceKind::kClassifierFree ? 1 : 0;
}

// Whether `set` can be summed over latents of `height` x `width` cells with `conditionings` inputs: at most
// kMostRows rows, in windows of one size that lie within, with maps of that size and finite weights, and every cell has
// a share of the conditional sum.
// Errors: INVALID_ARGUMENT saying what is wrong.
inline constexpr int kMostRows = 256;
absl::Status CheckRowSet(const RowSet& set, int conditionings, int height, int width);

}  // namespace stepcast::sampling

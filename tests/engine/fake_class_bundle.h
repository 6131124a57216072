#pragma once
// A class-conditional model without weights: every part is a short formula, row by row.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/model_bundle.h"

namespace stepcast::engine {

inline constexpr int kFakeClasses = 6;    // 0 .. 5 have labels
inline constexpr int kFakeNullClass = 6;  // row 6 of the table

// What a test sets and reads. Shared by the parts of one bundle.
struct FakeClassScript {
  int64_t poisoned_class = -1;                     // its gradient comes out as NaN
  std::vector<std::vector<int64_t>> labels;        // of the rows of each denoiser forward
  std::vector<std::vector<int64_t>> asked_labels;  // of the rows of each gradient
  std::vector<bool> inference_mode;                // whether each gradient was asked for in InferenceMode
};

// 4 latent channels, 4 pixels per cell, float32 on the CPU.
std::shared_ptr<const model::ModelBundle> MakeFakeClassBundle(const std::string& id, FakeClassScript* script,
                                                              bool has_classifier = true);

// What the fake denoiser predicts for `input` [C, h, w] float32.
at::Tensor FakeClassPrediction(const at::Tensor& input, float timestep, int64_t label);

// What the fake classifier answers.
at::Tensor FakeGradient(const at::Tensor& input, float timestep, int64_t label);

}  // namespace stepcast::engine

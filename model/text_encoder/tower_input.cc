#include "model/text_encoder/tower_input.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

namespace stepcast::model {
namespace {

// A mean below this share of the largest number is rounding: what is divided by it would mean nothing.
constexpr double kNoMean = 1e-6;

// The vector that `id`, one of an inversion, stands for.
at::Tensor VectorOf(const PromptTokens& text, int32_t id, size_t tower, int64_t hidden) {
  int vector = VectorOfInversionId(id);
  for (const UsedInversion& used : text.inversions) {
    if (vector >= used.file->vectors) {
      vector -= used.file->vectors;
      continue;
    }
    TORCH_CHECK_VALUE(tower < used.file->towers.size() &&
                          static_cast<int64_t>(used.file->towers[tower].size()) == used.file->vectors * hidden,
                      "textual inversion ", used.file->name, " has no vectors of ", hidden, " numbers");
    const float* values = used.file->towers[tower].data() + vector * hidden;
    return at::tensor(c10::ArrayRef<float>(values, static_cast<size_t>(hidden)), at::kFloat);
  }
  TORCH_CHECK_VALUE(false, "token ", id, " belongs to no textual inversion");
}

void Check(const ConditioningInput& input, const ConditioningInput& first, size_t towers,
           const ClipTextConfig& config) {
  TORCH_CHECK_VALUE(input.clip_skip == first.clip_skip, "prompts of one forward must share clip_skip");
  TORCH_CHECK_VALUE(input.clip_skip >= 0 && input.clip_skip < config.num_hidden_layers, "clip_skip must be 0..",
                    config.num_hidden_layers - 1, ", got ", input.clip_skip);
  TORCH_CHECK_VALUE(input.text.chunks >= 1 && input.text.chunks == first.text.chunks,
                    "prompts of one forward must have equally many chunks");
  TORCH_CHECK_VALUE(!first.text.ids.empty() && input.text.ids.size() == towers, towers,
                    " lists of tokens per prompt are needed");
  const std::vector<int32_t>& list = first.text.ids.front();
  const auto chunks = static_cast<size_t>(first.text.chunks);
  const auto length = static_cast<int64_t>(list.size() / chunks);
  TORCH_CHECK_VALUE(length >= 1 && length <= config.max_position_embeddings && list.size() % chunks == 0,
                    "a prompt has chunks of 1..", config.max_position_embeddings, " tokens, got ", list.size());
  for (size_t tower = 0; tower < towers; ++tower) {
    TORCH_CHECK_VALUE(input.text.ids[tower].size() == list.size(), "lists of ", list.size(), " tokens are needed");
    TORCH_CHECK_VALUE(input.text.weights.empty() || input.text.weights.size() == towers, "weights of ", towers,
                      " lists are needed");
    TORCH_CHECK_VALUE(input.text.weights.empty() || input.text.weights[tower].size() == list.size(),
                      "one weight per token is needed");
  }
}

// [chunks, L, hidden]: float32 rows times their tokens' weights.
at::Tensor Weighted(const at::Tensor& rows, const PromptTokens& text, size_t tower) {
  const at::Tensor before = rows.to(at::kFloat);
  const at::Tensor weights = at::tensor(c10::ArrayRef<float>(text.weights[tower]), at::kFloat).to(rows.device());
  at::Tensor after = before * weights.view({rows.size(0), rows.size(1), 1});
  if (!text.restores_mean) return after;
  const at::Tensor mean = after.mean({1, 2}, /*keepdim=*/true);
  const at::Tensor vanishes = mean.abs() <= after.abs().amax({1, 2}, /*keepdim=*/true) * kNoMean;
  const at::Tensor factor = before.mean({1, 2}, /*keepdim=*/true) / mean;
  return after * factor.masked_fill(vanishes, 1.0);
}

}  // namespace

TowerInput ReadTower(const std::vector<ConditioningInput>& inputs, size_t tower, size_t towers,
                     const ClipTextConfig& config) {
  TORCH_CHECK_VALUE(!inputs.empty(), "nothing to encode");
  for (const ConditioningInput& input : inputs) Check(input, inputs.front(), towers, config);
  const PromptTokens& first = inputs.front().text;
  const auto length = static_cast<int64_t>(first.ids.front().size()) / first.chunks;
  const auto rows = static_cast<int64_t>(inputs.size()) * first.chunks;
  TowerInput read{.ids = at::empty({rows, length}, at::kLong)};
  int64_t* at = read.ids.mutable_data_ptr<int64_t>();
  int64_t place = 0;
  for (const ConditioningInput& input : inputs) {
    for (const int32_t id : input.text.ids[tower]) {
      // embedding() reads without a check on some devices.
      TORCH_CHECK_VALUE(id < config.vocab_size, "token ", id, " is outside the vocabulary of ", config.vocab_size);
      if (id < 0) {
        read.vectors.push_back({place / length, place % length, VectorOf(input.text, id, tower, config.hidden_size)});
      }
      at[place++] = std::max(id, 0);
    }
  }
  read.adapters = TowerAdapters(inputs, tower, first.chunks);
  return read;
}

at::Tensor WithWeights(const at::Tensor& states, const std::vector<ConditioningInput>& inputs, size_t tower) {
  const auto weighs = [](const ConditioningInput& input) { return !input.text.weights.empty(); };
  if (std::ranges::none_of(inputs, weighs)) return states;
  at::Tensor weighted = states.clone();
  const int64_t chunks = inputs.front().text.chunks;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!weighs(inputs[i])) continue;
    const at::Tensor rows = weighted.narrow(0, static_cast<int64_t>(i) * chunks, chunks);
    rows.copy_(Weighted(rows, inputs[i].text, tower));
  }
  return weighted;
}

at::Tensor JoinChunks(const at::Tensor& states, int chunks) {
  if (chunks == 1) return states;
  return states.view({states.size(0) / chunks, chunks * states.size(1), states.size(2)});
}

}  // namespace stepcast::model

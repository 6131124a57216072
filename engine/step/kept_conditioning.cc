#include "engine/step/kept_conditioning.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace stepcast::engine {
namespace {

// Batches whose conditioning rows are kept: a few keys that alternate, and no more rows in all than a large batch or
// two have, because a row's keys and values are not small.
constexpr size_t kKeptBatches = 4;
constexpr size_t kKeptRows = 64;

// Concatenates one input of the conditioning over all rows; undefined when the model has no such input.
at::Tensor CatRows(const std::vector<const Embedding*>& rows, int64_t padding,
                   at::Tensor model::Conditioning::* input) {
  if (!(rows.front()->conditioning.*input).defined()) return at::Tensor();
  std::vector<at::Tensor> parts;
  parts.reserve(rows.size());
  for (const Embedding* row : rows) parts.push_back(row->conditioning.*input);
  return PadRows(at::cat(parts), padding);
}

}  // namespace

at::Tensor PadRows(const at::Tensor& rows, int64_t padding) {
  if (padding == 0) return rows;
  std::vector<int64_t> sizes = rows.sizes().vec();
  sizes.front() = padding;
  return at::cat({rows, at::zeros(sizes, rows.options())});
}

const model::Conditioning& KeptConditioning::Of(const std::vector<const Embedding*>& rows, int64_t padding,
                                                const Prepare& prepare) {
  std::vector<int64_t> ids;
  ids.reserve(rows.size());
  for (const Embedding* row : rows) ids.push_back(row->id);

  const auto same = [&ids](const Kept& kept) { return kept.embedding_ids == ids; };
  if (const auto it = std::ranges::find_if(kept_, same); it != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, it);
    return kept_.front().conditioning;
  }
  model::Conditioning conditioning;
  conditioning.prompt_embeds = CatRows(rows, padding, &model::Conditioning::prompt_embeds);
  conditioning.text_embeds = CatRows(rows, padding, &model::Conditioning::text_embeds);
  conditioning.time_ids = CatRows(rows, padding, &model::Conditioning::time_ids);
  conditioning.class_labels = CatRows(rows, padding, &model::Conditioning::class_labels);
  kept_.push_front({std::move(ids), prepare(conditioning)});
  DropOld();
  return kept_.front().conditioning;
}

void KeptConditioning::DropOld() {
  size_t rows = 0;
  size_t batches = 0;
  const auto old = std::ranges::find_if(kept_, [&](const Kept& kept) {
    rows += kept.embedding_ids.size();
    return ++batches > kKeptBatches || rows > kKeptRows;
  });
  // The newest stays whatever its size.
  kept_.erase(old == kept_.begin() ? std::next(old) : old, kept_.end());
}

}  // namespace stepcast::engine

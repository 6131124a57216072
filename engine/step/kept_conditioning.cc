#include "engine/step/kept_conditioning.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace stepcast::engine {
namespace {

// Batches whose conditioning rows are kept: a few keys that alternate, and no more text in all than a large batch or
// two of short prompts have, because a row's keys and values are not small.
constexpr size_t kKeptBatches = 4;
constexpr int64_t kShortText = 77;
constexpr int64_t kKeptTokens = 64 * kShortText;

// Concatenates one input of the conditioning over all rows; undefined when the model has no such input.
at::Tensor CatRows(const std::vector<const Embedding*>& rows, int64_t padding,
                   at::Tensor model::Conditioning::* input) {
  if (!(rows.front()->conditioning.*input).defined()) return at::Tensor();
  std::vector<at::Tensor> parts;
  parts.reserve(rows.size());
  for (const Embedding* row : rows) parts.push_back(row->conditioning.*input);
  return PadRows(at::cat(parts), padding);
}

int64_t LengthOf(const Embedding* row) {
  const at::Tensor& text = row->conditioning.prompt_embeds;
  return text.defined() ? text.size(1) : 0;
}

// What `rows` rows are counted as: those without text as a short prompt each.
int64_t TokensOf(const model::Conditioning& conditioning, size_t rows) {
  const at::Tensor& text = conditioning.prompt_embeds;
  return static_cast<int64_t>(rows) * (text.defined() ? text.size(1) : kShortText);
}

// prompt_embeds, and text_mask where it takes one.
void CatTexts(const std::vector<const Embedding*>& rows, int64_t padding, model::Conditioning& all) {
  const auto [shortest, longest] = std::ranges::minmax(rows, {}, LengthOf);
  if (LengthOf(shortest) == LengthOf(longest)) {
    all.prompt_embeds = CatRows(rows, padding, &model::Conditioning::prompt_embeds);
    return;
  }
  const at::Tensor& first = rows.front()->conditioning.prompt_embeds;
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t length = LengthOf(longest);
  at::Tensor texts = at::zeros({count, length, first.size(2)}, first.options());
  at::Tensor mask = at::zeros({count, length}, first.options().dtype(c10::ScalarType::Float));
  for (int64_t i = 0; i < count; ++i) {
    const Embedding* row = rows[static_cast<size_t>(i)];
    texts.select(0, i).narrow(0, 0, LengthOf(row)).copy_(row->conditioning.prompt_embeds.squeeze(0));
    mask.select(0, i).narrow(0, LengthOf(row), length - LengthOf(row)).fill_(-std::numeric_limits<float>::infinity());
  }
  all.prompt_embeds = PadRows(texts, padding);
  all.text_mask = PadRows(mask, padding);
}

// Whether two forwards have the same adapters in the same rows; null: none.
bool AreSame(const model::RowAdapters* a, const model::RowAdapters* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->runs() == b->runs();
}

}  // namespace

at::Tensor PadRows(const at::Tensor& rows, int64_t padding) {
  if (padding == 0) return rows;
  std::vector<int64_t> sizes = rows.sizes().vec();
  sizes.front() = padding;
  return at::cat({rows, at::zeros(sizes, rows.options())});
}

const model::Conditioning& KeptConditioning::Of(const std::vector<const Embedding*>& rows, int64_t padding,
                                                const Prepare& prepare,
                                                const std::shared_ptr<const model::RowAdapters>& adapters) {
  std::vector<int64_t> ids;
  ids.reserve(rows.size());
  for (const Embedding* row : rows) ids.push_back(row->id);

  const auto same = [&](const Kept& kept) {
    return kept.embedding_ids == ids && AreSame(kept.conditioning.adapters.get(), adapters.get());
  };
  if (const auto it = std::ranges::find_if(kept_, same); it != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, it);
    return kept_.front().conditioning;
  }
  model::Conditioning conditioning;
  CatTexts(rows, padding, conditioning);
  conditioning.text_embeds = CatRows(rows, padding, &model::Conditioning::text_embeds);
  conditioning.time_ids = CatRows(rows, padding, &model::Conditioning::time_ids);
  conditioning.class_labels = CatRows(rows, padding, &model::Conditioning::class_labels);
  conditioning.adapters = adapters;
  kept_.push_front({std::move(ids), prepare(conditioning)});
  DropOld();
  return kept_.front().conditioning;
}

void KeptConditioning::DropOld() {
  int64_t tokens = 0;
  size_t batches = 0;
  const auto old = std::ranges::find_if(kept_, [&](const Kept& kept) {
    tokens += TokensOf(kept.conditioning, kept.embedding_ids.size());
    return ++batches > kKeptBatches || tokens > kKeptTokens;
  });
  // The newest stays whatever its size.
  kept_.erase(old == kept_.begin() ? std::next(old) : old, kept_.end());
}

}  // namespace stepcast::engine

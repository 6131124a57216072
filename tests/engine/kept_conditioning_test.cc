#include "engine/step/kept_conditioning.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>

namespace stepcast::engine {
namespace {

// An embedding of `length` tokens of two numbers, all `value`.
Embedding Of(int64_t id, int64_t length, float value) {
  Embedding embedding{.id = id, .conditioning = {}};
  embedding.conditioning.prompt_embeds = at::full({1, length, 2}, value, at::kFloat);
  return embedding;
}

model::Conditioning AsItIs(const model::Conditioning& all) { return all; }

TEST(KeptConditioningTest, EqualLengthsNeedNoMask) {
  KeptConditioning kept;
  const Embedding a = Of(1, 3, 1), b = Of(2, 3, 2);
  const model::Conditioning& rows = kept.Of({&a, &b}, 1, AsItIs);
  EXPECT_EQ(rows.prompt_embeds.sizes().vec(), (std::vector<int64_t>{3, 3, 2}));
  EXPECT_FALSE(rows.text_mask.defined());
}

TEST(KeptConditioningTest, ShorterTextsAreFilledUpBehindAMask) {
  KeptConditioning kept;
  const Embedding a = Of(1, 2, 1), b = Of(2, 4, 2);
  const model::Conditioning& rows = kept.Of({&a, &b}, 1, AsItIs);
  ASSERT_EQ(rows.prompt_embeds.sizes().vec(), (std::vector<int64_t>{3, 4, 2}));
  ASSERT_EQ(rows.text_mask.sizes().vec(), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(rows.prompt_embeds[0][1][0].item<float>(), 1);
  EXPECT_EQ(rows.prompt_embeds[0][2][0].item<float>(), 0);
  EXPECT_EQ(rows.prompt_embeds[1][3][1].item<float>(), 2);
  EXPECT_EQ(rows.text_mask[0][1].item<float>(), 0);
  EXPECT_EQ(rows.text_mask[0][2].item<float>(), -INFINITY);
  EXPECT_EQ(rows.text_mask[1][3].item<float>(), 0);
  // Rows that only fill a forward up may see anything but nothing.
  EXPECT_EQ(rows.text_mask[2].abs().max().item<float>(), 0);
}

TEST(KeptConditioningTest, LongTextsCountForMore) {
  KeptConditioning kept;
  int prepared = 0;
  const auto prepare = [&](const model::Conditioning& all) {
    ++prepared;
    return all;
  };
  const Embedding small = Of(1, 77, 1), large = Of(2, 308, 1);
  kept.Of({&small}, 0, prepare);
  kept.Of(std::vector<const Embedding*>(16, &large), 0, prepare);  // as much as 64 short rows
  kept.Of({&small}, 0, prepare);
  EXPECT_EQ(prepared, 3) << "the small batch had to go";
  kept.Of({&small}, 0, prepare);
  EXPECT_EQ(prepared, 3);
}

}  // namespace
}  // namespace stepcast::engine

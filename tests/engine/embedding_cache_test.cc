#include "engine/job/embedding_cache.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <vector>

namespace stepcast::engine {
namespace {

class CountingMetrics final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view, std::string_view, int, int, absl::Duration) override {}
  void SetQueue(int, int) override {}
  void CountJob(std::string_view, std::string_view, absl::Duration) override {}
  void CountEmbeddingLookup(bool hit) override { ++(hit ? hits : misses); }
  int hits = 0;
  int misses = 0;
};

PromptKey Key(int32_t token, const std::string& model = "m", int clip_skip = 0) {
  return {.model = model, .input = {.text = {.ids = {{1, token}}}, .clip_skip = clip_skip}};
}

model::Conditioning Row(float value) {
  model::Conditioning row;
  row.prompt_embeds = at::full({1, 2, 3}, value);
  return row;
}

class EmbeddingCacheTest : public ::testing::Test {
 protected:
  CountingMetrics metrics_;
};

TEST_F(EmbeddingCacheTest, CountsHitsAndMissesOfFindOnly) {
  EmbeddingCache cache(4, metrics_);
  EXPECT_EQ(cache.Find(Key(1)), nullptr);
  cache.Insert(Key(1), Row(1.0f));
  EXPECT_NE(cache.Find(Key(1)), nullptr);
  EXPECT_NE(cache.Peek(Key(1)), nullptr);
  EXPECT_EQ(cache.Peek(Key(2)), nullptr);
  EXPECT_EQ(metrics_.hits, 1);
  EXPECT_EQ(metrics_.misses, 1);
}

TEST_F(EmbeddingCacheTest, EveryPartOfTheKeyMatters) {
  EmbeddingCache cache(8, metrics_);
  cache.Insert(Key(1), Row(1.0f));
  EXPECT_EQ(cache.Peek(Key(2)), nullptr);
  EXPECT_EQ(cache.Peek(Key(1, "other")), nullptr);
  EXPECT_EQ(cache.Peek(Key(1, "m", 1)), nullptr);
  PromptKey two_encoders = Key(1);
  two_encoders.input.text.ids.push_back({1, 1});
  EXPECT_EQ(cache.Peek(two_encoders), nullptr);
  EXPECT_NE(cache.Peek(Key(1)), nullptr);
}

TEST_F(EmbeddingCacheTest, EvictsTheLeastRecentlyUsed) {
  EmbeddingCache cache(2, metrics_);
  cache.Insert(Key(1), Row(1.0f));
  cache.Insert(Key(2), Row(2.0f));
  EXPECT_NE(cache.Find(Key(1)), nullptr);
  cache.Insert(Key(3), Row(3.0f));
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.Peek(Key(2)), nullptr);
  EXPECT_NE(cache.Peek(Key(1)), nullptr);
  EXPECT_NE(cache.Peek(Key(3)), nullptr);
}

TEST_F(EmbeddingCacheTest, AnEvictedEmbeddingLivesAsLongAsItsJobs) {
  EmbeddingCache cache(1, metrics_);
  SharedEmbedding pinned = cache.Insert(Key(1), Row(1.0f));
  std::weak_ptr<const Embedding> watch = pinned;
  cache.Insert(Key(2), Row(2.0f));
  EXPECT_EQ(pinned->conditioning.prompt_embeds.data_ptr<float>()[0], 1.0f);
  pinned.reset();
  EXPECT_TRUE(watch.expired());
}

TEST_F(EmbeddingCacheTest, InsertingAgainReplacesAndIdsNeverRepeat) {
  EmbeddingCache cache(2, metrics_);
  const SharedEmbedding first = cache.Insert(Key(1), Row(1.0f));
  const SharedEmbedding second = cache.Insert(Key(1), Row(2.0f));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache.Peek(Key(1)), second);
  EXPECT_NE(first->id, second->id);
}

TEST_F(EmbeddingCacheTest, CapacityZeroKeepsNothing) {
  EmbeddingCache cache(0, metrics_);
  EXPECT_NE(cache.Insert(Key(1), Row(1.0f)), nullptr);
  EXPECT_EQ(cache.Peek(Key(1)), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(EmbeddingCacheTest, ManyEntriesStayConsistent) {
  EmbeddingCache cache(10, metrics_);
  for (int round = 0; round < 3; ++round) {
    for (int32_t token = 0; token < 25; ++token) {
      const float expected = static_cast<float>(token);
      SharedEmbedding found = cache.Peek(Key(token));
      if (found == nullptr) found = cache.Insert(Key(token), Row(expected));
      EXPECT_EQ(found->conditioning.prompt_embeds.data_ptr<float>()[0], expected);
    }
  }
  EXPECT_EQ(cache.size(), 10u);
}

}  // namespace
}  // namespace stepcast::engine

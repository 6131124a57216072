#include "scheduler/dispatch/loop_books.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/job_builder.h"

namespace stepcast {
namespace {

JobSpec Spec(const TestJob& job = {}) { return MakeSpecs(job, nullptr)[0]; }

EngineStatus Busy(int jobs, absl::Duration backlog) { return {.running = jobs, .backlog = backlog}; }

TEST(LoopBooksTest, ReportsCount) {
  LoopBooks books(3, 64);
  const std::vector<EngineStatus> statuses = {Busy(2, absl::Seconds(4)), {.waiting = 1}, {.lost = true}};
  const std::vector<LoopLoad> loads = books.LoadsFor(Spec(), statuses);
  ASSERT_EQ(loads.size(), 3u);
  EXPECT_EQ(loads[0].busy, absl::Seconds(4));
  EXPECT_EQ(loads[0].jobs, 2);
  EXPECT_EQ(loads[1].jobs, 1);
  EXPECT_EQ(loads[1].busy, absl::ZeroDuration());
  EXPECT_EQ(loads[0].room, 64) << "what runs does not wait";
  EXPECT_EQ(loads[1].room, 63);
  EXPECT_TRUE(loads[0].usable);
  EXPECT_FALSE(loads[2].usable);
}

TEST(LoopBooksTest, WhatWasSentCountsUntilTheLoopDecides) {
  LoopBooks books(2, 64);
  const std::vector<EngineStatus> idle(2);
  books.OnCost(0, Spec(), absl::Seconds(2));
  const int64_t first = books.OnSent(0, Spec(), 1);
  const int64_t second = books.OnSent(0, Spec(), 3);
  std::vector<LoopLoad> loads = books.LoadsFor(Spec(), idle);
  EXPECT_EQ(loads[0].jobs, 4);
  EXPECT_EQ(loads[0].busy, absl::Seconds(8));
  EXPECT_EQ(loads[0].room, 60);
  EXPECT_EQ(loads[1].jobs, 0);
  books.OnDecided(0, first);
  loads = books.LoadsFor(Spec(), idle);
  EXPECT_EQ(loads[0].jobs, 3);
  EXPECT_EQ(loads[0].busy, absl::Seconds(6));
  books.OnDecided(0, second);
  EXPECT_EQ(books.LoadsFor(Spec(), idle)[0].jobs, 0);
}

TEST(LoopBooksTest, CostsAreLearntPerRowOfEachKey) {
  LoopBooks books(2, 64);
  const std::vector<EngineStatus> idle(2);
  EXPECT_EQ(books.LoadsFor(Spec(), idle)[0].own, absl::ZeroDuration());
  books.OnCost(0, Spec({.steps = 4}), absl::Seconds(2));
  EXPECT_EQ(books.LoadsFor(Spec({.steps = 4}), idle)[0].own, absl::Seconds(2));
  EXPECT_EQ(books.LoadsFor(Spec({.steps = 8}), idle)[0].own, absl::Seconds(4));
  EXPECT_EQ(books.LoadsFor(Spec({.steps = 8, .guidance_scale = 1}), idle)[0].own, absl::Seconds(2));
  EXPECT_EQ(books.LoadsFor(Spec({.width = 128}), idle)[0].own, absl::ZeroDuration()) << "another key";
  EXPECT_EQ(books.LoadsFor(Spec(), idle)[1].own, absl::ZeroDuration()) << "another loop";
  books.OnCost(0, Spec({.steps = 4}), absl::ZeroDuration());
  EXPECT_EQ(books.LoadsFor(Spec({.steps = 4}), idle)[0].own, absl::Seconds(2)) << "a loop that knows nothing";
}

TEST(LoopBooksTest, KeysAreKnownWhileTheLoopWorksAndPromptsForLonger) {
  LoopBooks books(2, 64);
  const std::vector<EngineStatus> busy = {Busy(1, absl::ZeroDuration()), {}};
  const std::vector<EngineStatus> idle(2);
  books.OnDecided(0, books.OnSent(0, Spec({.seed = 1}), 1));
  EXPECT_TRUE(books.LoadsFor(Spec({.seed = 2}), busy)[0].same_key);
  EXPECT_FALSE(books.LoadsFor(Spec({.seed = 2}), busy)[1].same_key);
  EXPECT_FALSE(books.LoadsFor(Spec({.width = 32}), busy)[0].same_key);
  EXPECT_TRUE(books.LoadsFor(Spec({.seed = 1}), busy)[0].knows_prompt);
  EXPECT_FALSE(books.LoadsFor(Spec({.seed = 2}), busy)[0].knows_prompt) << "the builder's prompts follow the seed";
  EXPECT_FALSE(books.LoadsFor(Spec({.seed = 1}), idle)[0].same_key) << "idle: nobody is left to share a tick";
  EXPECT_FALSE(books.LoadsFor(Spec({.seed = 1}), busy)[0].same_key) << "forgotten when it was idle";
  EXPECT_TRUE(books.LoadsFor(Spec({.seed = 1}), idle)[0].knows_prompt);
  books.OnSent(1, Spec({.seed = 1}), 1);
  EXPECT_FALSE(books.LoadsFor(Spec({.seed = 1}), idle)[0].knows_prompt);
  EXPECT_TRUE(books.LoadsFor(Spec({.seed = 1}), idle)[1].knows_prompt);
}

TEST(LoopBooksTest, WhatSharesNoEmbeddingIsAnotherPrompt) {
  LoopBooks books(1, 64);
  const std::vector<EngineStatus> idle(1);
  const auto spec = [](bool negative_given, int original_width) {
    JobSpec told = Spec({.seed = 1});
    auto model = std::make_shared<ModelInfo>(*told.request->model);
    model->size_conditioning = SizeConditioning::kTarget;
    auto request = std::make_shared<GenerationRequest>(*told.request);
    request->model = model;
    request->negative_prompt_given = negative_given;
    request->sizes.original_width = original_width;
    told.request = request;
    return told;
  };
  books.OnDecided(0, books.OnSent(0, spec(false, 64), 1));
  EXPECT_TRUE(books.LoadsFor(spec(false, 64), idle)[0].knows_prompt);
  EXPECT_FALSE(books.LoadsFor(spec(true, 64), idle)[0].knows_prompt);
  EXPECT_FALSE(books.LoadsFor(spec(false, 63), idle)[0].knows_prompt);
}

TEST(LoopBooksTest, OldPromptsAreForgotten) {
  LoopBooks books(1, 64);
  const std::vector<EngineStatus> idle(1);
  for (int i = 0; i < 5000; ++i) books.OnDecided(0, books.OnSent(0, Spec({.seed = i}), 1));
  EXPECT_FALSE(books.LoadsFor(Spec({.seed = 0}), idle)[0].knows_prompt);
  EXPECT_TRUE(books.LoadsFor(Spec({.seed = 4999}), idle)[0].knows_prompt);
}

}  // namespace
}  // namespace stepcast

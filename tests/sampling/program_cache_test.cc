#include "sampling/compile/program_cache.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace stepcast::sampling {
namespace {

TEST(ProgramCacheTest, SameInputsSameProgram) {
  ProgramCache cache;
  const SharedProgram first = cache.Get({}, {.steps = 10}).value();
  EXPECT_EQ(cache.Get({}, {.steps = 10}).value(), first);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(*first, *Compile({}, {.steps = 10}).value());
}

TEST(ProgramCacheTest, EveryFieldOfTheRequestCounts) {
  ProgramCache cache;
  std::vector<SamplerSpec> specs(11);
  specs[1].sampler = Sampler::kEuler;
  specs[2].steps = 21;
  specs[3] = {.sampler = Sampler::kEuler, .sigma_schedule = SigmaSchedule::kKarras};
  specs[4].timestep_spacing = TimestepSpacing::kTrailing;
  specs[5].eta = 0.5;
  specs[6].guidance_scale = 2.0;
  specs[7] = {.guidance_scale = 2.0, .guidance_rescale = 0.5};
  specs[8] = {.guidance_scale = 2.0, .guidance_start = 0.5};
  specs[9] = {.guidance_scale = 2.0, .guidance_end = 0.5};
  specs[10].strength = 0.5;
  std::vector<SharedProgram> programs;
  for (const SamplerSpec& spec : specs) programs.push_back(cache.Get({}, spec).value());
  EXPECT_EQ(cache.size(), specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(cache.Get({}, specs[i]).value(), programs[i]) << i;
    EXPECT_EQ(*programs[i], *Compile({}, specs[i]).value()) << i;
  }
}

TEST(ProgramCacheTest, TheScheduleCountsByValue) {
  ProgramCache cache;
  NoiseScheduleConfig config;
  config.beta_end = 0.012;
  const SharedProgram first = cache.Get(config, {}).value();
  NoiseScheduleConfig copy = config;
  EXPECT_EQ(cache.Get(copy, {}).value(), first);
  copy.trained_betas.assign(1000, 0.01);
  EXPECT_NE(cache.Get(copy, {}).value(), first);
  copy.trained_betas[500] = 0.011;
  EXPECT_NE(cache.Get(copy, {}).value(), first);
  EXPECT_EQ(cache.size(), 3u);
}

TEST(ProgramCacheTest, ForgetsTheLeastRecentlyUsed) {
  ProgramCache cache(/*max_evaluations=*/30);
  const SharedProgram a = cache.Get({}, {.steps = 10}).value();
  const SharedProgram b = cache.Get({}, {.steps = 11}).value();
  EXPECT_EQ(cache.Get({}, {.steps = 10}).value(), a);  // b is now the oldest
  cache.Get({}, {.steps = 12}).value();
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.Get({}, {.steps = 10}).value(), a);
  EXPECT_NE(cache.Get({}, {.steps = 11}).value(), b);
  EXPECT_EQ(b->steps, 11);  // still whole in the hands that hold it
}

TEST(ProgramCacheTest, DoesNotKeepWhatIsLargerThanItself) {
  ProgramCache cache(/*max_evaluations=*/5);
  EXPECT_TRUE(cache.Get({}, {.steps = 6}).ok());
  EXPECT_EQ(cache.size(), 0u);
}

TEST(ProgramCacheTest, ErrorsAreNotKept) {
  ProgramCache cache;
  EXPECT_FALSE(cache.Get({}, {.steps = 0}).ok());
  EXPECT_EQ(cache.size(), 0u);
}

TEST(ProgramCacheTest, ManyThreadsShareOneProgramPerKey) {
  ProgramCache cache(/*max_evaluations=*/100'000);
  constexpr int kThreads = 8;
  constexpr int kKeys = 12;
  std::vector<std::vector<SharedProgram>> seen(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&cache, &mine = seen[static_cast<size_t>(t)]] {
      for (int i = 0; i < 5 * kKeys; ++i) mine.push_back(cache.Get({}, {.steps = 1 + i % kKeys}).value());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<SharedProgram>& mine : seen) {
    for (size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(mine[i], seen[0][i % kKeys]);
  }
  EXPECT_EQ(cache.size(), static_cast<size_t>(kKeys));
}

}  // namespace
}  // namespace stepcast::sampling

// Strict mode: a job's numbers are the same to the last bit whoever its neighbours are. Random jobs of the bundled
// model run in a crowd, with joins, cancels and previews; the SHA-256 of each one's slots after every step must be that
// of the same job alone.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/start/engine_factory.h"
#include "tests/engine/crowd.h"

namespace stepcast::engine {
namespace {

constexpr int kJobs = 14;

// With many rows per forward, so that there are neighbours: the first count that passes on this machine.
LoadedEngine Load(const std::string& dtype, int threads) {
  static NullEngineMetrics metrics;
  EngineOptions options;
  options.models = {{.id = "emoji", .path = STEPCAST_SOURCE_DIR "/models/emoji"}};
  options.models.front().card.dtype.whole = DtypeFromName(dtype);  // wins over the card's fp32
  options.device = "cpu";
  options.threads = threads;
  options.embedding_cache_entries = 6;  // fewer than the prompts, so that some are evicted and encoded again
  options.warm_up = false;
  for (const int rows : {8, 12, 6}) {
    options.strict_rows = rows;
    absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
    if (engine.ok()) return *std::move(engine);
    if (!absl::IsFailedPrecondition(engine.status())) {
      ADD_FAILURE() << engine.status();
      return {};
    }
    GTEST_LOG_(WARNING) << "not tested on this machine: " << engine.status().message();
  }
  return {};
}

struct Case {
  const char* dtype;
  int threads;
};

class StrictModeTest : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Dtypes, StrictModeTest, testing::Values(Case{"fp32", 2}, Case{"bf16", 2}, Case{"fp32", 1}),
                         [](const auto& suite) {
                           return std::string(suite.param.dtype) + "Threads" + std::to_string(suite.param.threads);
                         });

TEST_P(StrictModeTest, EveryStepOfACrowdHasTheBitsOfTheSoloRun) {
  LoadedEngine engine = Load(GetParam().dtype, GetParam().threads);
  if (engine.devices.empty() && !HasFailure()) GTEST_SKIP() << "no count passes on this machine";
  ASSERT_EQ(engine.devices.size(), 1u);
  StepExecutor& executor = *engine.devices.front().executor;
  const auto tokenizer = ClipTokenizer::Load(engine.models.front()->tokenizer_dirs.front());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  std::mt19937 random(GetParam().threads == 1 ? 5 : 17);
  std::vector<Visitor> traffic = RandomTraffic(kJobs, *engine.models.front(), **tokenizer, random);
  MixPictures(traffic);
  MixPrompts(traffic);
  const std::vector<std::string> loras = LoadLoras(engine);
  ASSERT_EQ(loras.size(), 2u);
  MixLoras(traffic, loras);
  std::vector<const Visitor*> visitors;
  for (const Visitor& visitor : traffic) visitors.push_back(&visitor);
  House crowd(executor, engine.models.front());
  crowd.Run(visitors);
  EXPECT_GE(crowd.largest_batch(), 3);

  int finished = 0;
  for (size_t i = 0; i < traffic.size(); ++i) {
    // Cancelled jobs too: what they were before they left is what they would have been alone.
    Visitor alone = traffic[i];
    alone.joins_at = 0;
    alone.cancels_at = -1;
    House solo(executor, engine.models.front());
    solo.Run({&alone});
    ASSERT_LE(crowd.DigestsOf(i).size(), solo.DigestsOf(0).size());
    for (size_t step = 0; step < crowd.DigestsOf(i).size(); ++step) {
      ASSERT_EQ(crowd.DigestsOf(i)[step], solo.DigestsOf(0)[step])
          << "job " << i << ", " << SamplerName(traffic[i].picture.sampler) << ", step " << step;
    }
    if (!crowd.StatusOf(i).ok()) continue;
    EXPECT_EQ(crowd.DigestsOf(i).size(), solo.DigestsOf(0).size());
    ASSERT_NE(crowd.ImageOf(i), nullptr);
    ASSERT_NE(solo.ImageOf(0), nullptr);
    EXPECT_EQ(crowd.ImageOf(i)->pixels, solo.ImageOf(0)->pixels) << "job " << i;
    ++finished;
  }
  EXPECT_GE(finished, kJobs / 2);
}

}  // namespace
}  // namespace stepcast::engine

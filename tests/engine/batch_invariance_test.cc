// The flagship: a job's picture does not depend on its company. Sixty-six random jobs of the bundled model go through
// the scheduler and the real executor together, with joins and cancels, a third of them with rows that are no plain
// pair (several prompts, regions, tiles), another third with pictures (image-to-image, inpainting, inversion), some
// with a second pass, three of five with LoRAs; each finished picture must equal the one that the same job gives alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/start/engine_factory.h"
#include "tests/engine/crowd.h"

namespace stepcast::engine {
namespace {

constexpr int kJobs = 66;  // three with each sampler

// The forward sums in another order when it has more rows: with every weight perturbed by 1e-6 pictures move by less
// than half of 255th, so a value next to a rounding edge may land one byte away.
constexpr int kLargestDifference = 1;

std::string ModelDir() { return std::string(STEPCAST_SOURCE_DIR) + "/models/emoji"; }

LoadedEngine Load() {
  static NullEngineMetrics metrics;
  EngineOptions options;
  options.models = {{.id = "emoji", .path = ModelDir()}};
  options.device = "cpu";
  options.max_rows = 12;
  options.embedding_cache_entries = 16;  // fewer than the prompts, so that some are evicted and encoded again
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  if (!engine.ok()) {
    ADD_FAILURE() << engine.status();
    return {};
  }
  return *std::move(engine);
}

int LargestDifference(const Image& a, const Image& b) {
  if (a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  }
  return largest;
}

TEST(BatchInvarianceTest, EveryPictureOfACrowdEqualsItsSoloRun) {
  LoadedEngine crowd_engine = Load();
  LoadedEngine solo_engine = Load();
  ASSERT_TRUE(crowd_engine.devices.size() == 1 && solo_engine.devices.size() == 1);
  const SharedModelInfo& model = crowd_engine.models.front();
  const auto tokenizer = ClipTokenizer::Load(model->tokenizer_dirs.front());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();

  std::mt19937 random(60);
  std::vector<Visitor> traffic = RandomTraffic(kJobs, *model, **tokenizer, random);
  MixRows(traffic, **tokenizer);
  MixPictures(traffic);
  MixPrompts(traffic);
  const std::vector<std::string> loras = LoadLoras(crowd_engine);
  ASSERT_EQ(loras, LoadLoras(solo_engine));
  ASSERT_EQ(loras.size(), 2u);
  MixLoras(traffic, loras);
  std::vector<const Visitor*> visitors;
  for (const Visitor& visitor : traffic) visitors.push_back(&visitor);
  House crowd(*crowd_engine.devices[0].executor, model);
  crowd.Run(visitors);
  EXPECT_GE(crowd.largest_batch(), 6);

  int finished = 0;
  int cancelled = 0;
  std::map<Sampler, int> finished_by_sampler;
  std::map<RowKind, int> finished_by_rows;
  for (size_t i = 0; i < traffic.size(); ++i) {
    if (crowd.StatusOf(i).code() == absl::StatusCode::kCancelled) {
      EXPECT_EQ(crowd.ImageOf(i), nullptr);
      ++cancelled;
      continue;
    }
    ASSERT_TRUE(crowd.StatusOf(i).ok()) << crowd.StatusOf(i);
    Visitor alone = traffic[i];
    alone.joins_at = 0;
    alone.cancels_at = -1;
    House solo(*solo_engine.devices[0].executor, model);
    solo.Run({&alone});
    ASSERT_NE(crowd.ImageOf(i), nullptr) << "job " << i;
    ASSERT_NE(solo.ImageOf(0), nullptr) << "job " << i;
    EXPECT_LE(LargestDifference(*crowd.ImageOf(i), *solo.ImageOf(0)), kLargestDifference)
        << "job " << i << ", " << SamplerName(traffic[i].picture.sampler) << ", steps " << traffic[i].picture.steps;
    ++finished;
    ++finished_by_sampler[traffic[i].picture.sampler];
    ++finished_by_rows[traffic[i].rows];
  }
  EXPECT_GE(finished, 45);
  EXPECT_GE(cancelled, 3);
  EXPECT_EQ(finished_by_sampler.size(), model->samplers.size());
  EXPECT_EQ(finished_by_rows.size(), static_cast<size_t>(kRowKinds));
}

}  // namespace
}  // namespace stepcast::engine

#include "scheduler/words/tile_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/words/job_spec.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

// 128 x 96 pixels in tiles of 64; it begins with a picture, and a net looks at another one.
JobSpec TiledSpec() {
  const TestJob wanted{.model = "tiled", .width = 128, .height = 96, .steps = 3};
  auto recipe = std::make_shared<sampling::Recipe>(*MakeRecipe(wanted));
  const InputPicture picture{.image = std::make_shared<Image>()};
  recipe->pictures = {{.picture = picture}, {.picture = picture, .use = sampling::PictureUse::kHint, .network = "c"}};
  sampling::Stage& stage = recipe->stages.front();
  stage.start = sampling::StageStart::kPicture;
  stage.start_picture = 0;
  stage.control = {{.picture = 1, .network = "c"}};
  JobSpec spec = MakeJobSpec(MakeRequest(wanted), std::move(recipe));
  spec.sink = std::make_shared<RecordingSink>();
  return spec;
}

TEST(TileWorkTest, OnlyWhatIsLargerThanATileComesInSeveralTicks) {
  const Decoding decoding{.tile_side = 64};
  EXPECT_EQ(TileTicks(decoding, 64, 64), 1);
  EXPECT_EQ(TileTicks(decoding, 72, 64), 4) << "a tile begins every 48 pixels";
  EXPECT_EQ(TileTicks(decoding, 96, 8), 2);
  EXPECT_EQ(TileTicks(decoding, 97, 8), 3);
  EXPECT_EQ(TileTicks(decoding, 128, 96), 6);
  EXPECT_EQ(TileTicks({.tile_side = 0}, 4096, 4096), 1) << "it cannot be tiled";
}

TEST(TileWorkTest, EncodesAndDecodesAreOneTickPerTile) {
  Job job(JobId{1}, TiledSpec());
  std::vector<std::string> ticks;
  while (!job.done()) {
    const Phase phase = job.phase();
    const bool tiles = phase == Phase::kDecode || phase == Phase::kEncodePicture;
    const TileShare share = tiles ? NextTileShare(job) : TileShare();
    std::string text = job.key().ToString();
    if (share.ticks > 1) text += " " + std::to_string(share.tick) + "/" + std::to_string(share.ticks);
    ticks.push_back(std::move(text));
    job.Advance();
  }
  const auto count = [&](const std::string& text) { return std::count(ticks.begin(), ticks.end(), text); };
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(count("encode_picture:tiled:16x16 " + std::to_string(i) + "/6"), 1) << i;
    EXPECT_EQ(count("decode:tiled:16x16 " + std::to_string(i) + "/6"), 1) << i;
  }
  EXPECT_EQ(count("encode_picture:tiled:24x32"), 1) << "a net's hint comes as a whole";
  EXPECT_EQ(count("denoise:tiled:24x32"), 3);
  EXPECT_EQ(ticks.size(), 1u + 6 + 1 + 3 + 6);
  EXPECT_EQ(ticks.back(), "decode:tiled:16x16 5/6");
}

TEST(TileWorkTest, TheLastTickIsTheLastTile) {
  Job job(JobId{1}, TiledSpec());
  job.set_to_encode({});
  for (int i = 0; i < 3; ++i) job.Advance();
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(job.finishing());
    EXPECT_EQ(job.on_last_tick(), i == 5);
    job.Advance();
  }
  EXPECT_TRUE(job.done());
}

// A decoder with fewer tiles than ticks, or with more, is done with the last one.
TEST(TileWorkTest, SharesAddUp) {
  for (const int tiles : {1, 2, 5, 6, 7, 20}) {
    int64_t done = 0;
    for (int tick = 0; tick < 6; ++tick) {
      const TileShare share{.tick = tick, .ticks = 6};
      EXPECT_GE(share.DoneOf(tiles), done);
      EXPECT_LE(share.DoneOf(tiles) - done, (tiles + 5) / 6);
      done = share.DoneOf(tiles);
    }
    EXPECT_EQ(done, tiles);
  }
}

}  // namespace
}  // namespace stepcast

#include "core/decoding.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

constexpr Decoding kTiled = {.tile_side = 512, .tiling_pixels = 1'000'000, .bytes_per_pixel = 100};

TEST(Decoding, TilesAreAMatterOfTheSizeAlone) {
  EXPECT_FALSE(TilesByDefault(kTiled, 1000, 1000)) << "not more than so many pixels";
  EXPECT_TRUE(TilesByDefault(kTiled, 1000, 1001));
  Decoding on = kTiled;
  on.tiling = VaeTiling::kOn;
  EXPECT_FALSE(TilesByDefault(on, 512, 512)) << "one tile is no tiling";
  EXPECT_TRUE(TilesByDefault(on, 512, 520));
  EXPECT_TRUE(TilesByDefault(on, 520, 8));
  Decoding off = kTiled;
  off.tiling = VaeTiling::kOff;
  EXPECT_FALSE(TilesByDefault(off, 4096, 4096));
  EXPECT_TRUE(CanTile(off, 4096, 4096)) << "a request may still ask for it";
  EXPECT_FALSE(CanTile({}, 4096, 4096));
}

TEST(Decoding, MemoryOfAPictureGrowsWithWhatIsDecodedAtOnce) {
  EXPECT_EQ(DecodeBytes(kTiled, 512, 512, /*tiled=*/false), 100 * 512 * 512);
  const int64_t whole = DecodeBytes(kTiled, 2048, 2048, /*tiled=*/false);
  const int64_t tiled = DecodeBytes(kTiled, 2048, 2048, /*tiled=*/true);
  EXPECT_EQ(whole, 100 * 2048 * 2048);
  EXPECT_LT(tiled, whole / 2);
  // Where activations are small, the picture itself is the peak.
  EXPECT_GE(tiled, 36 * 2048 * 2048);
  EXPECT_EQ(DecodeBytes({}, 2048, 2048, false), 0) << "nothing is known";
}

TEST(Decoding, TheWordsOfCardsAreRead) {
  for (const VaeTiling tiling : {VaeTiling::kAuto, VaeTiling::kOn, VaeTiling::kOff}) {
    EXPECT_EQ(VaeTilingFromName(VaeTilingName(tiling)), tiling);
  }
  EXPECT_EQ(VaeTilingFromName("yes"), std::nullopt);
}

}  // namespace
}  // namespace stepcast

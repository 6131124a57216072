#include "codec/files/pixel_limits.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(PixelLimitsTest, AtTheLimitAndBeyond) {
  const DecodeLimits limits;
  const struct {
    int64_t width;
    int64_t height;
    bool ok;
  } cases[] = {{1, 1, true},
               {4096, 1, true},
               {4097, 1, false},
               {1, 4096, true},
               {1, 4097, false},
               {4000, 4000, true},
               {4000, 4001, false},
               {0, 1, false},
               {1, 0, false},
               {-1, 1, false},
               {4096, 3906, true},
               {4096, 3907, false},
               {UINT32_MAX, UINT32_MAX, false}};
  for (const auto& [width, height, ok] : cases) {
    EXPECT_EQ(CheckPixelLimits("PNG", width, height, limits).ok(), ok) << width << "x" << height;
  }
}

TEST(PixelLimitsTest, MessagesSayWhatCameAndWhatIsAllowed) {
  EXPECT_EQ(CheckPixelLimits("WebP", 9, 2, {.max_pixels = 16, .max_side = 8}).message(),
            "WebP of 9x2 pixels; allowed are sides of 1..8 and 16 pixels in all");
  EXPECT_EQ(DamagedError("JPEG").message(), "JPEG is damaged, cut short or of an unsupported kind");
}

}  // namespace
}  // namespace stepcast

#include "sampling/recipe/latent_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast::sampling {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::FloatNear;
using testing::Pointwise;

// Values of pixel (y, x): 16 y + x.
Mask Ramp(int width, int height) {
  Mask mask{.width = width, .height = height, .values = {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) mask.values.push_back(static_cast<uint8_t>(16 * y + x));
  }
  return mask;
}

TEST(LatentMaskTest, NearestTakesTheUpperLeftPixel) {
  const SharedWeightMap map = LatentMask(Ramp(16, 8), 1, 2, MaskSampling::kNearest);
  EXPECT_EQ(map->height, 1);
  EXPECT_EQ(map->width, 2);
  EXPECT_THAT(map->values, ElementsAre(FloatEq(0.0f), FloatEq(8.0f / 255.0f)));
}

TEST(LatentMaskTest, RoundedIsNothingOrAll) {
  const Mask mask{.width = 2, .height = 1, .values = {127, 128}};
  EXPECT_THAT(LatentMask(mask, 1, 2, MaskSampling::kNearestRounded)->values, ElementsAre(0.0f, 1.0f));
}

// torch.nn.functional.interpolate(ramp / 255, mode="bilinear"), 16 x 8 to 3 x 2 and 2 x 2 to 3 x 4.
TEST(LatentMaskTest, BilinearIsTorchs) {
  const auto times_255 = [](const SharedWeightMap& map) {
    std::vector<float> values;
    for (const float value : map->values) values.push_back(value * 255.0f);
    return values;
  };
  EXPECT_THAT(times_255(LatentMask(Ramp(16, 8), 2, 3, MaskSampling::kBilinear)),
              Pointwise(FloatNear(1e-3f), {26.1667f, 31.5f, 36.8333f, 90.1667f, 95.5f, 100.8333f}));
  EXPECT_THAT(
      times_255(LatentMask(Ramp(2, 2), 4, 3, MaskSampling::kBilinear)),
      Pointwise(FloatNear(1e-3f), {0.0f, 0.5f, 1.0f, 4.0f, 4.5f, 5.0f, 12.0f, 12.5f, 13.0f, 16.0f, 16.5f, 17.0f}));
}

}  // namespace
}  // namespace stepcast::sampling

#include "engine/codecs/picture.h"

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace stepcast::engine {
namespace {

using ::testing::ElementsAre;

TEST(ToImagesTest, ClampsScalesAndRoundsHalfToEven) {
  // Values whose scaled form is exact in binary: x = 2 * k / 255 - 1 is not, so ties are built from 0.5 steps.
  const struct {
    float value;
    uint8_t byte;
  } cases[] = {{-1.0f, 0}, {1.0f, 255}, {-7.0f, 0}, {9.0f, 255}, {0.0f, 128}, {0.5f, 191}, {-0.5f, 64}, {0.25f, 159}};
  for (const auto& test : cases) {
    // 0.0 gives 127.5, which rounds to the even 128; 0.5 gives 191.25; -0.5 gives 63.75; 0.25 gives 159.375.
    const std::vector<SharedImage> images = ToImages(at::full({1, 3, 1, 1}, test.value));
    ASSERT_EQ(images.size(), 1u);
    EXPECT_THAT(images[0]->pixels, ElementsAre(test.byte, test.byte, test.byte)) << test.value;
  }
}

TEST(ToImagesTest, InterleavesChannelsRowByRow) {
  // [1, 3, 2, 2]: red rises along x, green along y, blue is full.
  const at::Tensor red = at::tensor({-1.0f, 1.0f, -1.0f, 1.0f}).view({2, 2});
  const at::Tensor green = at::tensor({-1.0f, -1.0f, 1.0f, 1.0f}).view({2, 2});
  const at::Tensor blue = at::full({2, 2}, 1.0f);
  const std::vector<SharedImage> images = ToImages(at::stack({red, green, blue}).unsqueeze(0));
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0]->width, 2);
  EXPECT_EQ(images[0]->height, 2);
  EXPECT_THAT(images[0]->pixels, ElementsAre(0, 0, 255, 255, 0, 255, 0, 255, 255, 255, 255, 255));
}

TEST(ToImagesTest, KeepsWidthAndHeightApart) {
  const std::vector<SharedImage> images = ToImages(at::zeros({2, 3, 4, 6}));
  ASSERT_EQ(images.size(), 2u);
  EXPECT_EQ(images[1]->height, 4);
  EXPECT_EQ(images[1]->width, 6);
  EXPECT_EQ(images[1]->pixels.size(), 4u * 6 * 3);
}

TEST(ToImagesTest, APictureThatIsNotFiniteIsNullAndItsNeighboursAreNot) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    at::Tensor pictures = at::zeros({3, 3, 2, 2});
    pictures.select(0, 1).select(0, 2).select(0, 1).fill_(bad);
    const std::vector<SharedImage> images = ToImages(pictures);
    EXPECT_NE(images[0], nullptr);
    EXPECT_EQ(images[1], nullptr);
    EXPECT_NE(images[2], nullptr);
  }
}

}  // namespace
}  // namespace stepcast::engine

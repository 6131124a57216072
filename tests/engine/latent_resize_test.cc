#include "engine/job/latent_resize.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace stepcast::engine {
namespace {

using sampling::LatentResize;

// torch.nn.functional.interpolate(arange(4).view(1, 1, 2, 2), size=(3, 4), mode=..., align_corners=False,
// antialias=...)
TEST(LatentResizeTest, IsTorchsInterpolate) {
  const at::Tensor small = at::arange(4, c10::ScalarType::Float).view({1, 2, 2});
  const struct {
    LatentResize resize;
    std::vector<float> expected;
  } kCases[] = {
      {LatentResize::kNearest, {0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3}},
      {LatentResize::kNearestExact, {0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3}},
      {LatentResize::kBilinear, {0, 0.25f, 0.75f, 1, 1, 1.25f, 1.75f, 2, 2, 2.25f, 2.75f, 3}},
      {LatentResize::kBilinearAntialias, {0, 0.25f, 0.75f, 1, 1, 1.25f, 1.75f, 2, 2, 2.25f, 2.75f, 3}},
  };
  for (const auto& test : kCases) {
    const at::Tensor resized = Resized(small, test.resize, 3, 4);
    EXPECT_TRUE(at::allclose(resized.flatten(), at::tensor(test.expected), 1e-6, 1e-6)) << resized;
  }
  for (const LatentResize cubic : {LatentResize::kBicubic, LatentResize::kBicubicAntialias}) {
    const at::Tensor resized = Resized(small, cubic, 3, 4);
    EXPECT_EQ(resized.sizes(), (std::vector<int64_t>{1, 3, 4}));
    EXPECT_NEAR(resized.mean().item<float>(), 1.5f, 1e-5f) << "symmetric";
  }
  EXPECT_TRUE(Resized(small, LatentResize::kNone, 2, 2).is_same(small));
}

}  // namespace
}  // namespace stepcast::engine

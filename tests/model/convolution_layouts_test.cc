#include "model/layers/convolution_layouts.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace stepcast::model {
namespace {

struct Convolution {
  ConvGeometry geometry;
  at::Tensor dense;
  at::Tensor packed;
};

Convolution Make(int64_t channels, ConvGeometry geometry) {
  const at::Tensor dense =
      at::randn({channels, channels, geometry.kernel, geometry.kernel}).contiguous(at::MemoryFormat::ChannelsLast);
  return {geometry, dense, PackConvolution(dense, geometry)};
}

at::Tensor PackedFor(const Convolution& convolution, SpatialSize size) {
  ConvGeometry geometry = convolution.geometry;
  geometry.usual = size;
  return PackConvolution(convolution.dense, geometry);
}

class ConvolutionLayoutsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!CanPackConvolution(at::randn({8, 8, 3, 3}))) GTEST_SKIP() << "this LibTorch packs no convolutions";
  }

  // Convolutions of which some sizes want a layout of their own on the instruction sets that we know.
  static std::vector<Convolution> Several() {
    return {Make(64, {.kernel = 3, .stride = 1, .padding = 1, .usual = {16, 16}}),
            Make(192, {.kernel = 3, .stride = 1, .padding = 1, .usual = {4, 4}}),
            Make(640, {.kernel = 3, .stride = 2, .padding = 1, .usual = {32, 32}})};
  }

  static std::vector<SpatialSize> Sizes() { return {{4, 4}, {6, 6}, {8, 8}, {12, 12}, {24, 24}, {5, 9}}; }

  // A convolution and a size that wants a layout of its own; null where this CPU has none.
  static std::optional<std::pair<Convolution, SpatialSize>> Different() {
    for (const Convolution& convolution : Several()) {
      for (const SpatialSize size : Sizes()) {
        if (!SamePackedBytes(convolution.packed, PackedFor(convolution, size))) return std::pair(convolution, size);
      }
    }
    return std::nullopt;
  }
};

TEST_F(ConvolutionLayoutsTest, EverySizeGetsTheLayoutThatOneDnnWants) {
  ConvolutionLayouts layouts(int64_t{1} << 30);
  for (const Convolution& convolution : Several()) {
    layouts.Register(convolution.packed);
    for (const SpatialSize size : Sizes()) {
      for (int again = 0; again < 2; ++again) {
        EXPECT_TRUE(
            SamePackedBytes(layouts.For(convolution.packed, convolution.geometry, size), PackedFor(convolution, size)))
            << size.height << "x" << size.width;
      }
    }
  }
}

// A layout is told by the bytes of a weight, and those of a weight of equal numbers are the same in every layout.
TEST_F(ConvolutionLayoutsTest, AWeightOfZerosDoesNotSpeakForOthers) {
  const auto different = Different();
  if (!different.has_value()) GTEST_SKIP() << "on this CPU all sizes tried share one layout";
  const auto& [convolution, size] = *different;
  const at::Tensor zeros = PackConvolution(at::zeros_like(convolution.dense), convolution.geometry);
  ConvolutionLayouts layouts(int64_t{1} << 30);
  layouts.Register(zeros);
  layouts.Register(convolution.packed);
  layouts.For(zeros, convolution.geometry, size);
  EXPECT_TRUE(
      SamePackedBytes(layouts.For(convolution.packed, convolution.geometry, size), PackedFor(convolution, size)));
}

// What strict mode rests on: a size has its layouts from its first forward on, whatever came before and whatever is
// kept, so that its sums are always in one order.
TEST_F(ConvolutionLayoutsTest, TheBitsOfASizeAreThoseOfItsFirstForward) {
  const std::vector<Convolution> several = Several();
  for (const Convolution& convolution : {several[0], several[1]}) {
    const int64_t channels = convolution.dense.size(1);
    const auto run = [&](ConvolutionLayouts& layouts, const at::Tensor& x) {
      const at::Tensor weight = layouts.For(convolution.packed, convolution.geometry, {x.size(2), x.size(3)});
      return RunPackedConvolution(x, weight, {}, convolution.geometry);
    };
    for (const SpatialSize size : {SpatialSize{8, 8}, SpatialSize{5, 9}}) {
      const at::Tensor x = at::randn({2, channels, size.height, size.width}).contiguous(at::MemoryFormat::ChannelsLast);
      ConvolutionLayouts fresh(int64_t{1} << 30);
      fresh.Register(convolution.packed);
      const at::Tensor first = run(fresh, x);
      for (const int64_t budget : {int64_t{0}, PackedBytes(convolution.packed)}) {
        ConvolutionLayouts used(budget);
        used.Register(convolution.packed);
        for (const SpatialSize other : {SpatialSize{4, 4}, SpatialSize{24, 24}, SpatialSize{5, 9}, SpatialSize{8, 8}}) {
          run(used, at::zeros({1, channels, other.height, other.width}).contiguous(at::MemoryFormat::ChannelsLast));
        }
        EXPECT_TRUE(at::equal(run(used, x), first)) << size.height << "x" << size.width << ", budget " << budget;
      }
      EXPECT_TRUE(at::equal(run(fresh, x), first)) << size.height << "x" << size.width << " again";
    }
  }
}

TEST_F(ConvolutionLayoutsTest, ALayoutThatFitsIsNotKeptTwice) {
  const Convolution convolution = Make(64, {.kernel = 3, .stride = 1, .padding = 1, .usual = {16, 16}});
  ConvolutionLayouts layouts(int64_t{1} << 30);
  layouts.Register(convolution.packed);
  for (const SpatialSize size : Sizes()) {
    const bool fits = SamePackedBytes(convolution.packed, PackedFor(convolution, size));
    const int64_t before = layouts.kept_bytes();
    const bool shared = layouts.For(convolution.packed, convolution.geometry, size).is_same(convolution.packed);
    EXPECT_EQ(shared, fits) << size.height;
    EXPECT_EQ(layouts.kept_bytes() - before, fits ? 0 : PackedBytes(PackedFor(convolution, size))) << size.height;
  }
}

TEST_F(ConvolutionLayoutsTest, WithoutRoomTheLayoutIsTheSameAndItIsToldOnce) {
  const auto different = Different();
  if (!different.has_value()) GTEST_SKIP() << "on this CPU all sizes tried share one layout";
  const auto& [convolution, size] = *different;
  std::vector<std::string> told;
  ConvolutionLayouts layouts(0, [&](const std::string& notice) { told.push_back(notice); });
  layouts.Register(convolution.packed);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(
        SamePackedBytes(layouts.For(convolution.packed, convolution.geometry, size), PackedFor(convolution, size)));
  }
  EXPECT_EQ(layouts.kept_bytes(), 0);
  EXPECT_EQ(told.size(), 1u);
}

TEST_F(ConvolutionLayoutsTest, WhatNobodyUsesMakesRoomAndWhatIsUsedStays) {
  const auto different = Different();
  if (!different.has_value()) GTEST_SKIP() << "on this CPU all sizes tried share one layout";
  const auto& [first, size] = *different;
  const Convolution second = {first.geometry, first.dense, PackConvolution(first.dense, first.geometry)};
  const int64_t one = PackedBytes(PackedFor(first, size));
  ConvolutionLayouts layouts(one);
  layouts.Register(first.packed);
  layouts.Register(second.packed);
  const at::Tensor kept = layouts.For(first.packed, first.geometry, size);
  for (int forward = 0; forward < 3; ++forward) {  // both in turn, as in a forward: the first stays
    EXPECT_TRUE(layouts.For(first.packed, first.geometry, size).is_same(kept));
    EXPECT_FALSE(layouts.For(second.packed, second.geometry, size).is_same(kept));
  }
  at::Tensor last;
  for (int i = 0; i < 6; ++i)
    last = layouts.For(second.packed, second.geometry, size);  // the first is not used any more
  EXPECT_TRUE(layouts.For(second.packed, second.geometry, size).is_same(last));
  EXPECT_EQ(layouts.kept_bytes(), one);
}

}  // namespace
}  // namespace stepcast::model

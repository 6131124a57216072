// What layers promise beyond parity: exact formulas, and rows that do not see each other.
#include <cmath>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/layers/activations.h"
#include "model/layers/attention.h"
#include "model/layers/conv2d.h"
#include "model/layers/linear.h"
#include "model/layers/normalization.h"
#include "model/layers/resampling.h"
#include "model/layers/timestep_embedding.h"
#include "tests/model/replay.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

// A component whose tensors are standard normal.
WeightSet Random(const std::string& name, const std::vector<std::pair<std::string, Shape>>& tensors) {
  at::manual_seed(11);
  SafetensorsWriter writer;
  for (const auto& [tensor, shape] : tensors) {
    const at::Tensor values = at::randn(shape);
    const float* data = values.const_data_ptr<float>();
    writer.Add(tensor, shape, std::vector<float>(data, data + values.numel()));
  }
  const std::string folder = FreshFolder("layers_" + name);
  WriteFile(folder + "/model.safetensors", writer.Build());
  return *WeightSet::Open(folder, "model", {""}, nullptr);
}

// Sums of a hundred products in another order.
constexpr double kFloatRounding = 2e-6;

TEST(Activations, FollowTheirFormulas) {
  const std::pair<const char*, double (*)(double)> kFormulas[] = {
      {"silu", [](double x) { return x / (1 + std::exp(-x)); }},
      {"swish", [](double x) { return x / (1 + std::exp(-x)); }},
      {"mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {"gelu", [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }},
      {"gelu_new",
       [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
      {"gelu_pytorch_tanh",
       [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
      {"quick_gelu", [](double x) { return x / (1 + std::exp(-1.702 * x)); }},
      {"relu", [](double x) { return x > 0 ? x : 0; }},
  };
  for (const auto& [name, formula] : kFormulas) {
    const auto activation = ParseActivation(name);
    ASSERT_TRUE(activation.ok());
    for (const double x : {-7.0, -1.25, 0.0, 0.5, 3.0}) {
      const at::Tensor input = at::tensor({x}, at::kFloat);
      EXPECT_NEAR(Activate(input, *activation).item<double>(), formula(x), 1e-6) << name << " of " << x;
      EXPECT_EQ(input.item<double>(), x) << "Activate leaves its input alone";
      EXPECT_NEAR(ActivateInPlace(input, *activation).item<double>(), formula(x), 1e-6) << name << " of " << x;
    }
  }
  EXPECT_THAT(std::string(ParseActivation("tanh").status().message()), testing::HasSubstr("quick_gelu"));
}

// Slices that diffusers' test_layers_utils publishes.
TEST(Sinusoid, EqualsThePublishedSlices) {
  const struct {
    SinusoidOptions options;
    std::vector<float> slice;  // rows 23..25, columns 47..49
  } kCases[] = {
      {{.channels = 64, .flip_sin_to_cos = false, .freq_shift = 1},
       {.9646F, .9804F, .9892F, .9615F, .9787F, .9882F, .9582F, .9769F, .9872F}},
      {{.channels = 64, .flip_sin_to_cos = true, .freq_shift = 0},
       {.3019F, .2280F, .1716F, .3146F, .2377F, .1790F, .3272F, .2474F, .1864F}},
  };
  for (const auto& published : kCases) {
    const at::Tensor waves = Sinusoid(published.options, c10::DeviceType::CPU)(at::arange(128, at::kFloat));
    const at::Tensor slice = waves.slice(0, 23, 26).slice(1, 47, 50).flatten();
    for (int64_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(slice[i].item<float>(), published.slice[static_cast<size_t>(i)], 1e-4) << "printed with 4 decimals";
    }
  }
}

TEST(Sinusoid, TakesFractionsAndPadsOddWidths) {
  const Sinusoid sinusoid({.channels = 5, .flip_sin_to_cos = true, .freq_shift = 0}, c10::DeviceType::CPU);
  const at::Tensor waves = sinusoid(at::tensor({0.5}, at::kFloat));
  ASSERT_EQ(waves.size(1), 5);
  EXPECT_NEAR(waves[0][0].item<float>(), std::cos(0.5), 1e-6);
  EXPECT_NEAR(waves[0][2].item<float>(), std::sin(0.5), 1e-6);
  EXPECT_NEAR(waves[0][1].item<float>(), std::cos(0.5 * 0.01), 1e-6);
  EXPECT_EQ(waves[0][4].item<float>(), 0);
}

TEST(Linear, FusedAndStackedEqualTheirParts) {
  const WeightSet set = Random("linear", {{"q.weight", {6, 4}},
                                          {"q.bias", {6}},
                                          {"k.weight", {6, 4}},
                                          {"k.bias", {6}},
                                          {"wide.weight", {10, 4}},
                                          {"wide.bias", {10}}});
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  const WeightScope root = map.Root();
  const at::Tensor x = at::randn({3, 5, 4});
  const at::Tensor q = Linear(root / "q", 4, 6)(x);
  const at::Tensor k = Linear(root / "k", 4, 6)(x);
  EXPECT_LT(Compare(Linear::Fused({root / "q", root / "k"}, 4, 6, true)(x), at::cat({q, k}, -1)).max, kFloatRounding);

  StackedLinear stack;
  const StackedLinear::Slice first = stack.Add((root / "q").Get("weight", {6, 4}), (root / "q").Get("bias", {6}));
  const StackedLinear::Slice second =
      stack.Add((root / "wide").Get("weight", {10, 4}), (root / "wide").Get("bias", {10}));
  stack.Seal();
  const at::Tensor product = stack(x);
  EXPECT_EQ(product.size(-1), 16);
  EXPECT_LT(Compare(first.Of(product), q).max, kFloatRounding);
  EXPECT_LT(Compare(second.Of(product), Linear(root / "wide", 4, 10)(x)).max, kFloatRounding);
}

TEST(Linear, AddToLeavesTheResidualAlone) {
  const WeightSet set = Random("add_to", {{"weight", {6, 4}}, {"bias", {6}}});
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  const Linear linear(map.Root(), 4, 6);
  const at::Tensor x = at::randn({2, 3, 4});
  const at::Tensor residual = at::randn({2, 3, 6});
  const at::Tensor before = residual.clone();
  EXPECT_LT(Compare(linear.AddTo(residual, x), linear(x) + residual).max, kFloatRounding);
  EXPECT_EQ(Compare(residual, before).max, 0);
}

TEST(Conv2d, AddToLeavesTheResidualAlone) {
  const WeightSet set = Random("conv", {{"weight", {6, 4, 3, 3}}, {"bias", {6}}});
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  const Conv2d conv(map.Root(), 4, 6);
  const at::Tensor x = at::randn({2, 4, 5, 7}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor residual = at::randn({2, 6, 5, 7}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor before = residual.clone();
  const at::Tensor sum = conv.AddTo(residual, x);
  EXPECT_LT(Compare(sum, conv(x) + residual).max, 1e-5) << "36 products of size ~10, in another order";
  EXPECT_EQ(Compare(residual, before).max, 0);
  EXPECT_TRUE(sum.is_contiguous(at::MemoryFormat::ChannelsLast));
}

// Weights packed for one size, asked for that size and for another, in every dtype that packs.
TEST(Conv2d, PackedEqualsUnpacked) {
  const WeightSet set = Random("packed_conv", {{"weight", {24, 16, 3, 3}}, {"bias", {24}}});
  const struct {
    c10::ScalarType dtype;
    double relative;
  } kDtypes[] = {{at::kFloat, 1e-6}, {at::kBFloat16, 1e-2}};
  for (const auto& [dtype, relative] : kDtypes) {
    WeightMap map(set, c10::DeviceType::CPU, dtype);
    const ConvGeometry plain{.kernel = 3, .stride = 2, .padding = 1};
    ConvGeometry packed = plain;
    packed.usual = {6, 9};
    const Conv2d reference(map.Root(), 16, 24, plain);
    const Conv2d conv(map.Root(), 16, 24, packed);
    for (const int64_t rows : {1, 2, 5}) {
      for (const SpatialSize size : {SpatialSize{6, 9}, SpatialSize{3, 4}}) {
        const at::Tensor x =
            at::randn({rows, 16, size.height, size.width}).to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
        EXPECT_LT(Compare(conv(x), reference(x)).relative, relative) << rows << " rows of " << size.height;
        EXPECT_LT(Compare(conv(x.contiguous()), reference(x)).relative, relative) << "another layout";
      }
    }
  }
}

TEST(Linear, PackedEqualsUnpacked) {
  const WeightSet set = Random("packed_linear", {{"weight", {640, 48}}, {"bias", {640}}});
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    WeightMap map(set, c10::DeviceType::CPU, dtype);
    const Linear with_bias(map.Root(), 48, 640);
    const Linear without(map.Root(), 48, 640, /*bias=*/false);
    const at::Tensor weight = map.Get("weight", {640, 48}).to(at::kFloat);
    const at::Tensor bias = map.Get("bias", {640}).to(at::kFloat);
    for (const int64_t rows : {1, 3, 200}) {
      const at::Tensor x = at::randn({2, rows, 96}).to(dtype).narrow(2, 24, 48);
      const at::Tensor product = x.to(at::kFloat).matmul(weight.t());
      const double relative = dtype == at::kFloat ? 1e-6 : 1e-2;
      EXPECT_LT(Compare(without(x), product).relative, relative);
      EXPECT_LT(Compare(with_bias(x), product + bias).relative, relative);
    }
  }
}

TEST(GroupNorm, RowsDoNotSeeEachOther) {
  const WeightSet set = Random("group_norm", {{"weight", {8}}, {"bias", {8}}});
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  const GroupNorm norm(map.Root(), 8, 2, 1e-5);
  const at::Tensor x = at::randn({3, 8, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor alone = norm(x.narrow(0, 1, 1), Activation::kSilu);
  at::Tensor changed = x.clone();
  changed[0].fill_(1e3);
  changed[2].fill_(-7);
  EXPECT_EQ(Compare(norm(changed, Activation::kSilu).narrow(0, 1, 1), alone).max, 0);
}

TEST(GroupNorm, FusedActivationsAndBiasEqualSeparateSteps) {
  const WeightSet set = Random("group_norm_fused", {{"weight", {12}}, {"bias", {12}}});
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  const GroupNorm norm(map.Root(), 12, 4, 1e-5);
  for (const at::MemoryFormat format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
    const at::Tensor x = at::randn({2, 12, 5, 3}).contiguous(format);
    for (const Activation activation : {Activation::kSilu, Activation::kGelu}) {
      EXPECT_LT(Compare(norm(x, activation), Activate(norm(x), activation)).max, kFloatRounding);
    }
  }
}

// The kernel for channels-last pictures against ATen: sizes that are split over threads, cells beyond one block of
// sums, widths that fill no vector, and a bias per row.
TEST(GroupNorm, KernelEqualsAten) {
  const struct {
    int64_t rows, channels, groups, height, width;
  } kSizes[] = {{2, 64, 16, 16, 16}, {1, 96, 32, 40, 30}, {3, 12, 4, 1, 1}, {5, 10, 5, 3, 7}, {1, 32, 1, 23, 24}};
  for (const auto& size : kSizes) {
    const WeightSet set = Random("group_norm_kernel", {{"weight", {size.channels}}, {"bias", {size.channels}}});
    for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      WeightMap map(set, c10::DeviceType::CPU, dtype);
      const GroupNorm norm(map.Root(), size.channels, size.groups, 1e-5);
      const at::Tensor x = (at::randn({size.rows, size.channels, size.height, size.width}) * 3 + 20).to(dtype);
      const at::Tensor row_bias =
          at::randn({size.rows, 2 * size.channels}).to(dtype).narrow(1, size.channels, size.channels);
      const at::Tensor weight = map.Get("weight", {size.channels}).to(at::kDouble);
      const at::Tensor bias = map.Get("bias", {size.channels}).to(at::kDouble);
      const at::Tensor plain = at::group_norm(x.to(at::kDouble), size.groups, weight, bias, 1e-5);
      const at::Tensor biased = at::group_norm(x.to(at::kDouble) + row_bias.to(at::kDouble).unsqueeze(-1).unsqueeze(-1),
                                               size.groups, weight, bias, 1e-5);
      // Inputs around 20 lose five bits to the subtraction of their mean.
      const double tolerance = dtype == at::kFloat ? 2e-5 : 0.05;
      const at::Tensor channels_last = x.contiguous(at::MemoryFormat::ChannelsLast);
      EXPECT_LT(Compare(norm(channels_last), plain).max, tolerance) << size.channels;
      EXPECT_LT(Compare(norm(channels_last, row_bias), biased).max, tolerance) << size.channels;
      EXPECT_LT(Compare(norm(x, row_bias), biased).max, 10 * tolerance) << "ATen's own kernel, in the other layout";
    }
  }
}

TEST(ScaledDotProduct, IsSoftmaxOfScaledProducts) {
  at::manual_seed(3);
  const at::Tensor q = at::randn({2, 5, 8});
  const at::Tensor k = at::randn({2, 7, 8});
  const at::Tensor v = at::randn({2, 7, 8});
  const at::Tensor mixed = ScaledDotProduct(q, k, v, 2);
  for (int64_t head = 0; head < 2; ++head) {
    const auto part = [&](const at::Tensor& x) { return x.narrow(2, 4 * head, 4); };
    const at::Tensor weights = part(q).matmul(part(k).transpose(1, 2)).mul(0.5).softmax(-1);
    EXPECT_LT(Compare(part(mixed), weights.matmul(part(v))).max, kFloatRounding);
  }
}

// Scores beyond float16, and beyond what bfloat16 tells apart: what upcast_attention is for. 72 channels per head are a
// flash kernel's, with a mask or without; one that asks for a gradient is worked out step by step.
TEST(ScaledDotProduct, AddsUpScoresInFloatWhateverItsInputsAre) {
  at::manual_seed(5);
  for (const bool causal : {false, true}) {
    for (const bool step_by_step : {false, true}) {
      for (const c10::ScalarType dtype : {at::kHalf, at::kBFloat16}) {
        // q and k share a large part, which softmax takes no notice of: q.k is about 72 * 40 * 40 = 115,200.
        const at::Tensor common = at::full({1, 1, 72}, 40.0);
        const at::Tensor q = (common + at::randn({1, 9, 72}).mul_(0.25)).to(dtype);
        const at::Tensor k = (common + at::randn({1, 9, 72}).mul_(0.25)).to(dtype);
        const at::Tensor v = at::randn({1, 9, 72}).to(dtype);
        const at::Tensor exact = ScaledDotProduct(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble), 1, causal);
        const at::Tensor asked = step_by_step ? q.clone().requires_grad_(true) : q;
        const at::Tensor mixed = ScaledDotProduct(asked, k, v, 1, causal).detach();
        EXPECT_EQ(mixed.scalar_type(), dtype);
        // The probabilities and the result have 8 (bfloat16) or 11 bits; scores of that few would differ by hundreds.
        EXPECT_LT(Compare(mixed, exact).relative, dtype == at::kHalf ? 4e-3 : 2e-2)
            << c10::toString(dtype) << (causal ? ", causal" : "") << (step_by_step ? ", step by step" : "");
      }
    }
  }
}

TEST(ScaledDotProduct, CausalHidesWhatComesLater) {
  at::manual_seed(4);
  at::Tensor x = at::randn({1, 6, 8});
  const at::Tensor before = ScaledDotProduct(x, x, x, 2, /*causal=*/true);
  x.narrow(1, 4, 2).fill_(9);
  const at::Tensor after = ScaledDotProduct(x, x, x, 2, /*causal=*/true);
  EXPECT_EQ(Compare(after.narrow(1, 0, 4), before.narrow(1, 0, 4)).max, 0);
}

TEST(Tokens, AreAViewOfChannelsLastPictures) {
  const at::Tensor x = at::randn({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor tokens = ToTokens(x);
  EXPECT_EQ(tokens.const_data_ptr(), x.const_data_ptr());
  const at::Tensor back = FromTokens(tokens, 4, 5);
  EXPECT_EQ(back.const_data_ptr(), x.const_data_ptr());
  EXPECT_EQ(Compare(back, x).max, 0);
  EXPECT_EQ(Compare(ToTokens(x.contiguous()), tokens).max, 0) << "other layouts are copied";
}

TEST(UpsampleNearest, RepeatsCellsToAnySize) {
  const at::Tensor x = at::arange(4, at::kFloat).view({1, 1, 2, 2});
  const at::Tensor big = UpsampleNearest(x, SpatialSize{3, 5});
  ASSERT_EQ(big.sizes().vec(), (std::vector<int64_t>{1, 1, 3, 5}));
  EXPECT_EQ(big[0][0][2][4].item<float>(), 3);
  EXPECT_EQ(big[0][0][0][2].item<float>(), 0);
  EXPECT_EQ(UpsampleNearest(x).size(3), 4);
}

}  // namespace
}  // namespace stepcast::model

// What strict mode rests on, measured again for each operator of the networks: at a fixed row count, a row's result is
// the same to the last bit wherever the row stands and whatever the other rows hold.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "model/layers/attention.h"
#include "model/layers/group_norm_cpu.h"
#include "model/layers/linear.h"
#include "model/layers/packed_convolution.h"

namespace stepcast::engine {
namespace {

constexpr int64_t kChannels = 64;
constexpr int64_t kSide = 8;
constexpr int64_t kTokens = 77;

// A network operator on rows: [R, ...] -> [R, ...].
struct Operator {
  std::string name;
  std::vector<int64_t> row_shape;
  std::function<at::Tensor(const at::Tensor& rows, c10::ScalarType dtype)> run;
};

at::Tensor Weight(at::IntArrayRef shape, c10::ScalarType dtype) { return at::randn(shape).mul_(0.05).to(dtype); }

at::Tensor ChannelsLast(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

at::Tensor PackedConvolution(const at::Tensor& x, c10::ScalarType dtype) {
  const at::Tensor weight = Weight({kChannels, kChannels, 3, 3}, dtype);
  const at::Tensor bias = Weight({kChannels}, dtype);
  const model::ConvGeometry geometry = {.kernel = 3, .stride = 1, .padding = 1, .usual = {kSide, kSide}};
  if (!model::CanPackConvolution(weight)) return at::conv2d(x, weight, bias, 1, 1);
  return model::RunPackedConvolution(ChannelsLast(x), model::PackConvolution(weight, geometry), bias, geometry);
}

template <typename T>
at::Tensor OwnGroupNorm(const at::Tensor& x) {
  const at::Tensor input = ChannelsLast(x);
  const at::Tensor weight = at::randn({kChannels});
  const at::Tensor bias = at::randn({kChannels});
  at::Tensor y = at::zeros_like(input);
  model::GroupNormChannelsLast<T>({x.size(0), x.size(2) * x.size(3), kChannels, 16, 1e-5}, input.const_data_ptr<T>(),
                                  {}, weight.const_data_ptr<float>(), bias.const_data_ptr<float>(),
                                  y.mutable_data_ptr<T>());
  return y;
}

std::vector<Operator> Operators() {
  const std::vector<int64_t> picture = {kChannels, kSide, kSide};
  const std::vector<int64_t> tokens = {kTokens, kChannels};
  const auto convolution = [](int64_t kernel, int64_t stride, bool last) {
    return [=](const at::Tensor& x, c10::ScalarType dtype) {
      const at::Tensor weight = Weight({kChannels, kChannels, kernel, kernel}, dtype);
      return at::conv2d(last ? ChannelsLast(x) : x, last ? ChannelsLast(weight) : weight, Weight({kChannels}, dtype),
                        stride, kernel / 2);
    };
  };
  const auto affine = [](int64_t outputs) {
    return [=](const at::Tensor& x, c10::ScalarType dtype) {
      return model::Linear(Weight({outputs, kChannels}, dtype), Weight({outputs}, dtype))(x);
    };
  };
  return {
      {"conv3x3", picture, convolution(3, 1, false)},
      {"conv3x3ChannelsLast", picture, convolution(3, 1, true)},
      {"conv3x3Stride2", picture, convolution(3, 2, true)},
      {"conv1x1", picture, convolution(1, 1, true)},
      {"packedConvolution", picture, PackedConvolution},
      {"linear", tokens, affine(kChannels)},
      {"wideLinear", tokens, affine(8 * kChannels)},
      {"linearOfOneToken", {kChannels}, affine(256)},
      {"wideLinearOfOneToken", {kChannels}, affine(8 * kChannels)},
      {"attention",
       {kTokens, 3 * kChannels},
       [](const at::Tensor& x, c10::ScalarType) {
         return model::ScaledDotProduct(x.narrow(2, 0, kChannels), x.narrow(2, kChannels, kChannels),
                                        x.narrow(2, 2 * kChannels, kChannels), 4);
       }},
      {"groupNorm", picture,
       [](const at::Tensor& x, c10::ScalarType dtype) {
         return dtype == at::kFloat ? OwnGroupNorm<float>(x) : OwnGroupNorm<c10::BFloat16>(x);
       }},
      {"layerNorm", tokens,
       [](const at::Tensor& x, c10::ScalarType dtype) {
         return at::layer_norm(x, {kChannels}, Weight({kChannels}, dtype), Weight({kChannels}, dtype), 1e-5);
       }},
      {"silu", picture, [](const at::Tensor& x, c10::ScalarType) { return at::silu(ChannelsLast(x)); }},
      {"gelu", tokens, [](const at::Tensor& x, c10::ScalarType) { return at::gelu(x); }},
      {"upsample", picture,
       [](const at::Tensor& x, c10::ScalarType) {
         return at::upsample_nearest2d(ChannelsLast(x), {2 * kSide, 2 * kSide});
       }},
  };
}

struct Case {
  c10::ScalarType dtype;
  int64_t rows;
  int threads;
};

class OperatorInvarianceTest : public testing::TestWithParam<Case> {
 protected:
  // The same weights in every run.
  at::Tensor Run(const Operator& op, const at::Tensor& rows) {
    at::manual_seed(3);
    return op.run(rows, GetParam().dtype);
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, OperatorInvarianceTest,
                         testing::Values(Case{at::kFloat, 8, 1}, Case{at::kFloat, 8, 2}, Case{at::kFloat, 2, 2},
                                         Case{at::kFloat, 16, 2}, Case{at::kFloat, 4, 1}, Case{at::kFloat, 5, 2},
                                         Case{at::kFloat, 6, 2}, Case{at::kFloat, 7, 1}, Case{at::kFloat, 11, 2},
                                         Case{at::kBFloat16, 8, 1}, Case{at::kBFloat16, 8, 2},
                                         Case{at::kBFloat16, 2, 2}, Case{at::kBFloat16, 16, 2}),
                         [](const auto& suite) {
                           return std::string(suite.param.dtype == at::kFloat ? "fp32" : "bf16") + "Rows" +
                                  std::to_string(suite.param.rows) + "Threads" + std::to_string(suite.param.threads);
                         });

TEST_P(OperatorInvarianceTest, ARowDoesNotDependOnItsPlaceNorOnItsNeighbours) {
  const c10::InferenceMode no_autograd;
  at::set_num_threads(GetParam().threads);
  const int64_t rows = GetParam().rows;
  for (const Operator& op : Operators()) {
    std::vector<int64_t> shape = op.row_shape;
    shape.insert(shape.begin(), rows);
    at::manual_seed(7);
    const at::Tensor input = at::randn(shape).to(GetParam().dtype);
    const at::Tensor together = Run(op, input);
    const at::Tensor turned = Run(op, input.flip({0}).contiguous());
    EXPECT_TRUE(at::equal(turned.flip({0}), together)) << op.name << ": rows in reverse order";
    for (int64_t row = 0; row < rows; row += rows - 1) {
      at::Tensor lonely = at::zeros_like(input);
      lonely.select(0, row).copy_(input.select(0, row));
      EXPECT_TRUE(at::equal(Run(op, lonely).select(0, row), together.select(0, row)))
          << op.name << ": row " << row << " among zeros";
    }
  }
}

}  // namespace
}  // namespace stepcast::engine

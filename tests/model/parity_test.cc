// Every layer, block and whole tiny network against diffusers and transformers.
#include <string>

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/model/parity_runner.h"

namespace stepcast::model {
namespace {

// How far an output may be from the float32 reference, as |difference| / |reference| in the 2-norm.
struct Tolerance {
  c10::ScalarType dtype;
  double relative;
};
constexpr Tolerance kTolerances[] = {
    // Sums in another order: fused projections, other convolution kernels. Observed up to 2e-6.
    {c10::ScalarType::Float, 1e-5},
    // 11 bits of mantissa: 5e-4 per rounding, a few dozen roundings in a row that mostly cancel.
    {c10::ScalarType::Half, 1e-2},
    // 8 bits of mantissa: 4e-3 per rounding.
    {c10::ScalarType::BFloat16, 8e-2},
};

class Parity : public testing::TestWithParam<std::string> {};

TEST_P(Parity, EqualsTheReferenceInEveryDtype) {
  const ParityCase& parity = FindCase(GetParam());
  const at::Tensor expected = Expected(parity);
  for (const Tolerance& tolerance : kTolerances) {
    // Classifiers are loaded in float32, whatever the model computes in.
    if (absl::StartsWith(parity.kind, "latent_classifier") && tolerance.dtype != c10::ScalarType::Float) continue;
    const at::Tensor output = RunCase(parity, tolerance.dtype);
    ASSERT_EQ(output.sizes().vec(), parity.output_shape);
    const at::Tensor kept = output.flatten().slice(0, 0, std::nullopt, parity.stride);
    const Difference difference = Compare(kept, expected);
    EXPECT_LE(difference.relative, tolerance.relative) << c10::toString(tolerance.dtype) << ", max " << difference.max;
  }
}

class PublishedSlice : public testing::TestWithParam<std::string> {};

// The slices that diffusers' own tests publish, which were printed with four decimals: half a unit of the last one,
// and as much again for sums in another order.
TEST_P(PublishedSlice, IsOurs) {
  const ParityCase& parity = FindCase(GetParam());
  const at::Tensor output = RunCase(parity, c10::ScalarType::Float);
  const at::Tensor slice = output[0][-1].slice(0, -3).slice(1, -3).flatten();
  for (int64_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(slice[i].item<float>(), parity.published[static_cast<size_t>(i)], 1e-4) << i;
  }
}

std::vector<std::string> Names(bool published_only) {
  std::vector<std::string> names;
  for (const ParityCase& parity : ParityCases()) {
    if (!published_only || !parity.published.empty()) names.push_back(parity.name);
  }
  return names;
}

std::string NameOf(const testing::TestParamInfo<std::string>& test) { return test.param; }

INSTANTIATE_TEST_SUITE_P(Networks, Parity, testing::ValuesIn(Names(false)), NameOf);
INSTANTIATE_TEST_SUITE_P(Networks, PublishedSlice, testing::ValuesIn(Names(true)), NameOf);

}  // namespace
}  // namespace stepcast::model

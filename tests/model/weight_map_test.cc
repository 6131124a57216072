#include "model/weights/weight_map.h"

#include <string>

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

WeightSet Written(const std::string& folder, const SafetensorsWriter& writer) {
  WriteFile(folder + "/model.safetensors", writer.Build());
  return *WeightSet::Open(folder, "model", {""}, nullptr);
}

TEST(WeightMap, ScopesNameTensorsAndConvertThem) {
  const std::string half_of_two("\x00\x40\x00\xc0", 4);  // 2, -2 in float16
  const WeightSet set = Written(FreshFolder("scopes"), SafetensorsWriter()
                                                           .Add("odd", "F16", {1}, std::string("\x00\x3c", 2))
                                                           .Add("down_blocks.0.a.weight", "F16", {2}, half_of_two));
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  const at::Tensor weight = (map.Root() / "down_blocks" / 0 / "a").Get("weight", {2});
  EXPECT_EQ(weight.scalar_type(), at::kFloat);
  EXPECT_EQ(weight[0].item<float>(), 2);
  EXPECT_EQ(weight[1].item<float>(), -2);
  EXPECT_TRUE((map.Root() / "down_blocks").Has("0.a.weight"));
  EXPECT_FALSE(map.Root().Has("weight"));
  EXPECT_THAT(map.Unused(), ElementsAre("odd"));
  EXPECT_EQ(map.Report("unet"), absl::OkStatus()) << "unused weights alone are no error";
  EXPECT_EQ(map.parameter_count(), 2);
}

TEST(WeightMap, ReadsTensorsThatLieUnalignedInTheFile) {
  const WeightSet set =
      Written(FreshFolder("unaligned"),
              SafetensorsWriter().Add("half", "F16", {1}, std::string("\x00\x3c", 2)).Add("single", {2}, {1.25F, -8}));
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  EXPECT_EQ(map.Get("single", {2})[1].item<float>(), -8);
  EXPECT_EQ(map.Get("half", {1}).item<float>(), 1);
}

TEST(WeightMap, OutlivesNothing) {
  at::Tensor weight;
  {
    const WeightSet set = Written(FreshFolder("lifetime"), SafetensorsWriter().Add("a", {1}, {3}));
    WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
    weight = map.Get("a", {1});
  }
  EXPECT_EQ(weight.item<float>(), 3) << "weights are copies: the mapping is gone";
}

TEST(WeightMap, ListsEveryMissingMisshapedAndUnusedTensorAtOnce) {
  const WeightSet set = Written(FreshFolder("report"), SafetensorsWriter()
                                                           .Add("wide", {1, 2}, {1, 2})
                                                           .Add("flat", {4}, {1, 2, 3, 4})
                                                           .Add("extra.one", {1}, {1})
                                                           .Add("encoder.x", {1}, {1}));
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  EXPECT_TRUE(map.Get("gone.weight", {8, 8}).is_meta()) << "a shape without memory stands in";
  map.Get("gone.bias", {8});
  map.Get("wide", {2, 1});
  map.Get("flat", {2, 2});
  map.IgnorePrefix("encoder.");
  const absl::Status status = map.Report("vae");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("vae: the weights in "), HasSubstr("2 missing: gone.weight, gone.bias"),
                             HasSubstr("2 mis-shaped: wide is [1, 2], needs [2, 1], flat is [4], needs [2, 2]"),
                             HasSubstr("1 unused: extra.one")));
}

TEST(WeightMap, AMessageStaysReadableWhenNothingFits) {
  const WeightSet set = Written(FreshFolder("many"), SafetensorsWriter().Add("a", {1}, {1}));
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  for (int i = 0; i < 500; ++i) map.Get(absl::StrCat("missing.", i), {1});
  const std::string message(map.Report("unet").message());
  EXPECT_THAT(message, HasSubstr("500 missing: missing.0, "));
  EXPECT_THAT(message, HasSubstr("and 480 more"));
  EXPECT_LT(message.size(), 1000U);
}

TEST(WeightMap, TakesProjectionsThatWereSavedAsConvolutions) {
  const WeightSet set = Written(FreshFolder("squeeze"),
                                SafetensorsWriter().Add("q", {2, 2, 1, 1}, {1, 2, 3, 4}).Add("v", {2, 1, 1}, {1, 2}));
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  EXPECT_EQ(map.Get("q", {2, 2})[1][0].item<float>(), 3);
  map.Get("v", {2});
  EXPECT_THAT(std::string(map.Report("vae").message()), HasSubstr("v is [2, 1, 1], needs [2]"));
}

TEST(WeightMap, DescribesWithoutFilesOrMemory) {
  WeightMap map;
  const at::Tensor weight = (map.Root() / "huge").Get("weight", {1'000'000, 1'000'000});
  EXPECT_TRUE(weight.is_meta());
  EXPECT_EQ(map.parameter_count(), 1'000'000'000'000);
  EXPECT_EQ(map.requested().size(), 1U);
  EXPECT_EQ(map.Report("unet"), absl::OkStatus());
}

TEST(CatWeights, AMissingPartMakesTheWholeAShape) {
  WeightMap map;
  const at::Tensor missing = map.Get("a", {2, 3});
  const at::Tensor joined = CatWeights({missing, missing});
  EXPECT_TRUE(joined.is_meta());
  EXPECT_THAT(joined.sizes().vec(), ElementsAre(4, 3));
}

}  // namespace
}  // namespace stepcast::model

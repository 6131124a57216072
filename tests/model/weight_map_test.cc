#include "model/weights/weight_map.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
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

// Files of every type into every type, longer than the pieces that they are read in, and not a whole number of them.
TEST(WeightMap, ConvertsTensorsOfSeveralPieces) {
  at::manual_seed(3);
  const int64_t count = 700'003;
  const at::Tensor values = at::randn({count});
  const std::pair<const char*, c10::ScalarType> kStored[] = {
      {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"F64", at::kDouble}};
  for (const auto& [name, type] : kStored) {
    const at::Tensor stored = values.to(type);
    const std::string bytes(static_cast<const char*>(stored.const_data_ptr()), stored.nbytes());
    const WeightSet set = Written(FreshFolder("pieces"), SafetensorsWriter().Add("a", name, {count}, bytes));
    for (const c10::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
      WeightMap map(set, c10::DeviceType::CPU, dtype);
      EXPECT_TRUE(at::equal(map.Get("a", {count}), stored.to(dtype))) << name << " to " << c10::toString(dtype);
    }
  }
}

TEST(WeightMap, AFileThatBecameShorterIsOneLineThatNamesIt) {
  const std::string folder = FreshFolder("shortened");
  const WeightSet set = Written(folder, SafetensorsWriter().Add("a", {4}, {1, 2, 3, 4}).Add("b", {1}, {5}));
  std::filesystem::resize_file(folder + "/model.safetensors",
                               std::filesystem::file_size(folder + "/model.safetensors") - 4);
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  EXPECT_EQ(map.Get("a", {4})[3].item<float>(), 4);
  EXPECT_TRUE(map.Get("b", {1}).is_meta());
  EXPECT_TRUE(map.Get("a", {4}).is_meta()) << "after an error nothing is read";
  const absl::Status status = map.Report("unet");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(testing::StartsWith("unet: " + folder + "/model.safetensors ends at byte "),
                             testing::Not(HasSubstr("\n"))));
}

TEST(CatWeights, JoinsAndLetsGo) {
  at::Tensor first = at::ones({2, 3});
  std::vector<at::Tensor> parts = {first, at::zeros({1, 3})};
  const at::Tensor all = CatWeights(std::move(parts));
  EXPECT_EQ(all.sum().item<float>(), 6);
  EXPECT_EQ(all.size(0), 3);
  EXPECT_EQ(first.use_count(), 1U) << "what is copied is let go";
  EXPECT_TRUE(CatWeights({first, at::empty({1, 3}, at::TensorOptions(c10::DeviceType::Meta))}).is_meta());
}

TEST(WeightMap, OutlivesNothing) {
  at::Tensor weight;
  {
    const WeightSet set = Written(FreshFolder("lifetime"), SafetensorsWriter().Add("a", {1}, {3}));
    WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
    weight = map.Get("a", {1});
  }
  EXPECT_EQ(weight.item<float>(), 3) << "weights are copies: the file is closed";
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

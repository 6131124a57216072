#include "model/weights/weight_set.h"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using testing::HasSubstr;

std::string OneTensor(const std::string& name, float value) {
  return SafetensorsWriter().Add(name, {1}, {value}).Build();
}

std::string FileOf(const WeightSet& set, const std::string& name) {
  const StoredTensor* tensor = set.Find(name);
  return tensor == nullptr ? "" : std::filesystem::path(tensor->file->path()).filename().string();
}

TEST(WeightSet, TakesThePreferredVariantThatExists) {
  const std::string folder = FreshFolder("variants");
  WriteFile(folder + "/model.safetensors", OneTensor("a", 1));
  WriteFile(folder + "/model.fp16.safetensors", OneTensor("a", 2));
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"", "fp16"}, nullptr), "a"), "model.safetensors");
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"fp16", ""}, nullptr), "a"), "model.fp16.safetensors");
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"bf16", ""}, nullptr), "a"), "model.safetensors");
}

TEST(WeightSet, ReadsShardsInEverySpellingOfTheIndex) {
  for (const std::string spelling :
       {"model.safetensors.index.json", "model.safetensors.index.fp16.json", "model.safetensors.fp16.index.json"}) {
    const std::string folder = FreshFolder("shards");
    WriteFile(folder + "/one.safetensors", OneTensor("a", 1));
    WriteFile(folder + "/two.safetensors", OneTensor("b", 2));
    WriteFile(absl::StrCat(folder, "/", spelling),
              R"({"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
    const auto set = WeightSet::Open(folder, "model", {"fp16", ""}, nullptr);
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ(FileOf(*set, "a"), "one.safetensors");
    EXPECT_EQ(FileOf(*set, "b"), "two.safetensors");
    EXPECT_EQ(set->paths().size(), 3U);
  }
}

TEST(WeightSet, RefusesIndicesThatLeaveTheFolderOrLie) {
  const struct {
    const char* index;
    const char* message;
  } kIndices[] = {
      {R"({"weight_map":{"a":"../one.safetensors"}})", "of the same folder"},
      {R"({"weight_map":{"a":"/etc/one.safetensors"}})", "of the same folder"},
      {R"({"weight_map":{"a":"sub/one.safetensors"}})", "of the same folder"},
      {R"({"weight_map":{"a":"sub\\one.safetensors"}})", "of the same folder"},
      {R"({"weight_map":{"a":"one\u0000.safetensors"}})", "of the same folder"},
      {R"({"weight_map":{"a":".."}})", "of the same folder"},
      {R"({"weight_map":{"a":""}})", "of the same folder"},
      {R"({"weight_map":{"a":7}})", "of the same folder"},
      {R"({"weight_map":{"a":"one.bin"}})", "of the same folder"},
      {R"({"weight_map":{}})", "at least one tensor"},
      {R"({"metadata":{}})", "at least one tensor"},
      {R"({"weight_map":{"missing":"one.safetensors"}})", "'missing' is not in one.safetensors"},
      {R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})", "'b' is not in one.safetensors"},
      {R"({"weight_map":{"a":"absent.safetensors"}})", "absent.safetensors"},
      {R"({"weight_map":{"a":"one.safetensors","a":"one.safetensors"}})", "key \"a\" twice"},
      {R"({"weight_map":{"a":"one.safetensors","x":"twin.safetensors"}})", "already in"},
  };
  const std::string folder = FreshFolder("bad_index");
  WriteFile(folder + "/one.safetensors", OneTensor("a", 1));
  WriteFile(folder + "/twin.safetensors", OneTensor("a", 1));
  for (const auto& bad : kIndices) {
    WriteFile(folder + "/model.safetensors.index.json", bad.index);
    const absl::Status status = WeightSet::Open(folder, "model", {""}, nullptr).status();
    EXPECT_FALSE(status.ok()) << bad.index;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.message)) << bad.index;
  }
}

TEST(WeightSet, NamesTheConversionRouteForPickledWeights) {
  for (const std::string file : {"model.bin", "v1-5.ckpt", "weights.pt", "flax_model.msgpack"}) {
    const std::string folder = FreshFolder("pickle");
    WriteFile(absl::StrCat(folder, "/", file), "\x80\x02");
    const absl::Status status = WeightSet::Open(folder, "model", {""}, nullptr).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << file;
    EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr(file), HasSubstr("safe_serialization=True")));
  }
  const absl::Status status = WeightSet::Open(FreshFolder("nothing"), "model", {""}, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

TEST(WeightSet, FollowsTheLinksOfAHubCache) {
  const std::string root = FreshFolder("hub");
  WriteFile(root + "/blobs/0123", OneTensor("a", 1));
  std::filesystem::create_directories(root + "/snapshots/main/unet");
  std::filesystem::create_symlink("../../../blobs/0123", root + "/snapshots/main/unet/model.safetensors");
  const auto set = WeightSet::Open(root + "/snapshots/main/unet", "model", {""}, nullptr);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_NE(set->Find("a"), nullptr);
}

TEST(WeightSet, ALinkToNothingIsToldAsSuch) {
  const std::string folder = FreshFolder("dangling");
  std::filesystem::create_symlink("../../../blobs/0123", folder + "/model.safetensors");
  WriteFile(folder + "/model.fp16.safetensors", OneTensor("a", 2));
  const absl::Status status = WeightSet::Open(folder, "model", {"", "fp16"}, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr(folder + "/model.safetensors"),
                                                            HasSubstr("../../../blobs/0123, which is not there")));
}

TEST(WeightSet, OtherVariantsWillDoWhereThereIsNothingElse) {
  const std::string folder = FreshFolder("odd_variants");
  WriteFile(folder + "/model.non_ema.safetensors", OneTensor("a", 1));
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"", "fp16"}, nullptr), "a"), "model.non_ema.safetensors");
  WriteFile(folder + "/model.ema.safetensors", OneTensor("a", 1));
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"", "fp16"}, nullptr), "a"), "model.ema.safetensors");
  WriteFile(folder + "/model.fp16.safetensors", OneTensor("a", 1));
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"", "fp16"}, nullptr), "a"), "model.fp16.safetensors");
}

TEST(WeightSet, AnIndexThatOutlivedItsShardsHidesNothing) {
  const std::string folder = FreshFolder("stale");
  WriteFile(folder + "/model.safetensors.index.json", R"({"weight_map":{"a":"model-00001-of-00002.safetensors"}})");
  const absl::Status status = WeightSet::Open(folder, "model", {"", "fp16"}, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr("model.safetensors.index.json names "),
                                                            HasSubstr("model-00001-of-00002.safetensors")));
  WriteFile(folder + "/model.fp16.safetensors", OneTensor("a", 1));
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"", "fp16"}, nullptr), "a"), "model.fp16.safetensors");
  WriteFile(folder + "/model.safetensors", OneTensor("a", 1));
  EXPECT_EQ(FileOf(*WeightSet::Open(folder, "model", {"", "fp16"}, nullptr), "a"), "model.safetensors");
}

TEST(WeightSet, AppliesTheNameRule) {
  const std::string folder = FreshFolder("rule");
  WriteFile(folder + "/model.safetensors", SafetensorsWriter().Add("old.a", {1}, {1}).Add("dropped", {1}, {2}).Build());
  const auto set = WeightSet::Open(folder, "model", {""}, [](absl::string_view name) {
    return name == "dropped" ? std::string() : std::string(name.substr(4));
  });
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_NE(set->Find("a"), nullptr);
  EXPECT_EQ(set->tensors().size(), 1U);
}

}  // namespace
}  // namespace stepcast::model

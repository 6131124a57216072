#include "model/loading/component_cache.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

struct Part {
  virtual ~Part() = default;
};
struct Other : Part {};

TEST(ComponentCache, APartIsFoundAsLongAsSomebodyHasIt) {
  ComponentCache cache;
  EXPECT_EQ(cache.Find("a"), nullptr);
  auto part = std::make_shared<const Part>();
  cache.Insert("a", part);
  EXPECT_EQ(cache.Find("a"), part);
  EXPECT_EQ(cache.Find("b"), nullptr);
  part = nullptr;
  EXPECT_EQ(cache.Find("a"), nullptr);
  part = std::make_shared<const Part>();
  cache.Insert("a", part);
  EXPECT_EQ(cache.Find("a"), part) << "it came back";
}

TEST(ComponentCache, TheFirstStaysWhileItLives) {
  ComponentCache cache;
  const auto first = std::make_shared<const Part>(), second = std::make_shared<const Part>();
  cache.Insert("a", first);
  cache.Insert("a", second);
  EXPECT_EQ(cache.Find("a"), first);
}

class DigestTest : public testing::Test {
 protected:
  // Of the tensor "a" in a file.
  std::string Digest(const std::string& bytes, const std::string& settings = "{}", Shape shape = {2}) {
    // Files that are there at the same time are told apart on every system.
    const std::string folder = FreshFolder(absl::StrCat("digest", ++files_));
    WriteFile(folder + "/model.safetensors", bytes);
    const auto set = WeightSet::Open(folder, "model", {""}, nullptr);
    EXPECT_TRUE(set.ok()) << set.status();
    const auto digest = cache_.DigestOf(settings, *set, {{"a", shape}});
    EXPECT_TRUE(digest.ok()) << digest.status();
    return *digest;
  }

  ComponentCache cache_;
  int files_ = 0;
};

TEST_F(DigestTest, IsOfSettingsAndOfWhatIsRead) {
  const std::string digest = Digest(SafetensorsWriter().Add("a", {2}, {1, 2}).Build());
  EXPECT_EQ(digest.size(), 64U);
  EXPECT_EQ(Digest(SafetensorsWriter().Add("a", {2}, {1, 2}).Build()), digest);
  EXPECT_EQ(Digest(SafetensorsWriter().Add("x", {3}, {7, 8, 9}).Add("a", {2}, {1, 2}).Build()), digest)
      << "elsewhere in the file, beside what nobody reads";
  EXPECT_NE(Digest(SafetensorsWriter().Add("a", {2}, {1, 3}).Build()), digest);
  EXPECT_NE(Digest(SafetensorsWriter().Add("a", {2}, {1, 2}).Build(), R"({"act_fn":"gelu"})"), digest);
  EXPECT_NE(Digest(SafetensorsWriter().Add("a", {1, 2}, {1, 2}).Build(), "{}", {1, 2}), digest);
  EXPECT_NE(Digest(SafetensorsWriter().Add("a", "F16", {2}, std::string(4, '\0')).Build()),
            Digest(SafetensorsWriter().Add("a", "BF16", {2}, std::string(4, '\0')).Build()));
}

TEST_F(DigestTest, IsNotThatOfAFileThatWasThereBefore) {
  const std::string folder = FreshFolder("digest_again");
  const std::string path = folder + "/model.safetensors";
  std::vector<std::string> digests;
  for (const float value : {1.0f, 2.0f}) {  // of one size, under one name
    WriteFile(path + ".new", SafetensorsWriter().Add("a", {1}, {value}).Build());
    std::filesystem::rename(path + ".new", path);
    for (int time = 0; time < 2; ++time) {
      const auto set = WeightSet::Open(folder, "model", {""}, nullptr);
      ASSERT_TRUE(set.ok()) << set.status();
      digests.push_back(*cache_.DigestOf("{}", *set, {{"a", {1}}}));
    }
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[2], digests[3]);
  EXPECT_NE(digests[0], digests[2]);
}

TEST(PartKey, TellsWhatAPartIsApart) {
  const c10::Device cpu(c10::DeviceType::CPU);
  const auto key = [&](const std::string& digest, c10::ScalarType dtype, c10::Device device) {
    return PartKey(digest, {typeid(Part), typeid(Part)}, dtype, device);
  };
  const std::string own = key("d", c10::ScalarType::Half, cpu);
  EXPECT_EQ(key("d", c10::ScalarType::Half, cpu), own);
  EXPECT_NE(key("e", c10::ScalarType::Half, cpu), own);
  EXPECT_NE(key("d", c10::ScalarType::BFloat16, cpu), own);
  EXPECT_NE(key("d", c10::ScalarType::Half, c10::Device(c10::DeviceType::CUDA, 0)), own);
  EXPECT_NE(PartKey("d", {typeid(Other), typeid(Part)}, c10::ScalarType::Half, cpu), own);
  EXPECT_NE(PartKey("d", {typeid(Other), typeid(Other)}, c10::ScalarType::Half, cpu),
            PartKey("d", {typeid(Other), typeid(Part)}, c10::ScalarType::Half, cpu))
      << "the pointer may be another one";
}

TEST(NetworkSettings, LeavesOutWhatProgramsWriteForThemselves) {
  const auto settings = [](const char* text) { return NetworkSettings(nlohmann::json::parse(text)); };
  EXPECT_EQ(settings(R"({"b": 1, "a": [2], "_diffusers_version": "0.1", "torch_dtype": "float16", "dtype": "float16",
                         "transformers_version": "4.1", "_class_name": "X"})"),
            settings(R"({"a": [2], "b": 1})"));
  EXPECT_NE(settings(R"({"a": 1})"), settings(R"({"a": 2})"));
  EXPECT_NE(settings(R"({"a": 1})"), settings(R"({"a": 1, "c": null})"));
}

}  // namespace
}  // namespace stepcast::model

#include "scheduler/costs/cost_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace stepcast {
namespace {

std::string Path(const char* name) { return testing::TempDir() + "/cost_cache_" + name; }

const std::vector<CostEntry> kEntries = {
    {{Phase::kEncode, "a model"}, {{1, absl::Nanoseconds(1234567)}}, 8},
    {{Phase::kDenoise, "emoji", 16, 24}, {{1, absl::Milliseconds(10)}, {16, absl::Seconds(2)}}, 0},
};

TEST(CostCacheTest, ReadsWhatItWrote) {
  const std::string path = Path("good");
  ASSERT_TRUE(WriteCostCache(path, "abc cpu fp32 2", kEntries).ok());
  ASSERT_TRUE(WriteCostCache(path, "abc cpu fp32 2", kEntries).ok()) << "over an old one";
  const auto read = ReadCostCache(path, "abc cpu fp32 2");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, kEntries);
  EXPECT_FALSE(std::ifstream(path + ".new")) << "nothing is left beside it";
}

TEST(CostCacheTest, AnotherDeviceIsAnotherCache) {
  const std::string path = Path("other");
  ASSERT_TRUE(WriteCostCache(path, "abc cpu fp32 2", kEntries).ok());
  EXPECT_EQ(ReadCostCache(path, "abc cpu fp32 4").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadCostCache(Path("none"), "x").status().code(), absl::StatusCode::kNotFound);
}

TEST(CostCacheTest, NothingInItIsTrusted) {
  const char* const kLines[] = {
      "",
      "denoise",
      "denoise 16 16 8 1:100",
      "denoise 16 16 8 1:100 ",
      "dance 16 16 8 1:100 emoji",
      "denoise -1 16 8 1:100 emoji",
      "denoise 16 99999999 8 1:100 emoji",
      "denoise 16 16 5000 1:100 emoji",
      "denoise 16 16 8 0:100 emoji",
      "denoise 16 16 8 1:-100 emoji",
      "denoise 16 16 8 1:1e9999 emoji",
      "denoise 16 16 8 1:100, emoji",
      "denoise 16 16 8  emoji",
  };
  for (const char* line : kLines) {
    const std::string path = Path("bad");
    std::ofstream(path) << "stepcast-costs 1 f\n" << line << "\n";
    EXPECT_EQ(ReadCostCache(path, "f").status().code(), absl::StatusCode::kInvalidArgument) << line;
  }
  std::ofstream(Path("alien")) << "%PDF-1.7\n";
  EXPECT_THAT(std::string(ReadCostCache(Path("alien"), "f").status().message()), testing::HasSubstr("no cost cache"));
}

TEST(CostCacheTest, LargeAndEndlessFilesAreRefused) {
  std::ofstream(Path("large")) << "stepcast-costs 1 f\n" << std::string((16 << 20) + 1, 'x');
  EXPECT_EQ(ReadCostCache(Path("large"), "f").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadCostCache("/dev/zero", "f").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadCostCache(testing::TempDir(), "f").status().code(), absl::StatusCode::kInvalidArgument);
  std::string points = "1:1";
  for (int i = 0; i < 5000; ++i) points += ",1:1";
  std::ofstream(Path("points")) << "stepcast-costs 1 f\ndenoise 16 16 8 " << points << " emoji\n";
  EXPECT_EQ(ReadCostCache(Path("points"), "f").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CostCacheTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_EQ(WriteCostCache(Path("no/such/folder"), "f", kEntries).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace stepcast

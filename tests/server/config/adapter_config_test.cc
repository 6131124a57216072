#include "server/config/adapter_config.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/model_memory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/config/config_checks.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<ServerConfig> Parse(const std::string& text, const ConfigOverrides& overrides = {}) {
  return ParseServerConfig(absl::StrCat("models: [{id: a, path: /m/a}]\n", text),
                           absl::StrCat(testing::TempDir(), "/config.yaml"), overrides, {});
}

ConfigOverrides LorasDir(const std::string& folder) {
  ConfigOverrides overrides;
  overrides.loras_dir = folder;
  return overrides;
}

std::string Folder(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::create_directories(path);
  return path.lexically_normal().string();
}

TEST(AdapterConfigTest, FoldersLieBesideTheConfiguration) {
  const std::string one = Folder("loras_one");
  const std::string two = Folder("loras_two");
  const auto parsed = Parse(absl::StrCat("loras_dir: [loras_one, ", two, "]\nloras_budget: 3MiB\n"));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->loras_dirs, ElementsAre(one, two));
  EXPECT_EQ(parsed->loras_budget, 3 << 20);
  EXPECT_EQ(parsed->limits.max_loras, 8);
  EXPECT_THAT(Parse("loras_dir: loras_one\n")->loras_dirs, ElementsAre(one));
  EXPECT_EQ(Parse("loras_dir: loras_one\nlimits: {max_loras: 3}\n")->limits.max_loras, 3);
}

TEST(AdapterConfigTest, AServerWithoutFoldersTakesNone) {
  EXPECT_EQ(Parse("")->limits.max_loras, 0);
  EXPECT_EQ(Parse("loras_dir: \"\"\nlimits: {max_loras: 3}\n")->limits.max_loras, 0);
  const std::string one = Folder("loras_one");
  const auto without = Parse("loras_dir: loras_one\n", LorasDir(""));
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_THAT(without->loras_dirs, IsEmpty());
  EXPECT_EQ(without->limits.max_loras, 0);
  const auto with = Parse("", LorasDir(one));
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_THAT(with->loras_dirs, ElementsAre(one));
  EXPECT_EQ(with->limits.max_loras, 8);
}

TEST(AdapterConfigTest, WhatIsWrongIsNamedWithItsLine) {
  const auto message = [](const std::string& text) { return std::string(Parse(text).status().message()); };
  EXPECT_THAT(std::string(CheckAgainstMachine(*Parse("loras_dir: nowhere\n"), "a.yaml").message()),
              HasSubstr("nowhere is no folder"));
  EXPECT_THAT(message("loras_dir: {a: b}\n"), HasSubstr("a folder, or a list of folders"));
  EXPECT_THAT(message("loras_dir: [[a]]\n"), HasSubstr("a folder, or a list of folders"));
  EXPECT_THAT(message("loras_budget: 12\n"), HasSubstr(":2: loras_budget: got"));
  EXPECT_THAT(message("loras_budget: auto\n"), HasSubstr("loras_budget: got"));
  EXPECT_THAT(message("limits: {max_loras: 9}\n"), HasSubstr("limits.max_loras"));
  EXPECT_THAT(std::string(Parse("", LorasDir("/nowhere")).status().message()),
              HasSubstr("--loras_dir: /nowhere is no folder"));
}

}  // namespace
}  // namespace stepcast

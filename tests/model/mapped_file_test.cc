#include "model/weights/mapped_file.h"

#include <filesystem>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

TEST(MappedFile, ShowsTheBytesAndFollowsLinks) {
  const std::string folder = FreshFolder("mapped");
  WriteFile(folder + "/blob", "some bytes");
  std::filesystem::create_symlink("blob", folder + "/link");
  for (const char* name : {"/blob", "/link"}) {
    const auto file = MappedFile::Open(folder + name);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->bytes(), "some bytes");
  }
}

TEST(MappedFile, MovesTheMapping) {
  const std::string folder = FreshFolder("moved");
  WriteFile(folder + "/a", "first");
  WriteFile(folder + "/b", "second");
  MappedFile file = *MappedFile::Open(folder + "/a");
  MappedFile other = *MappedFile::Open(folder + "/b");
  file = std::move(other);
  EXPECT_EQ(file.bytes(), "second");
}

TEST(MappedFile, EmptyIsNotAnError) {
  const std::string path = FreshFolder("empty_file") + "/a";
  WriteFile(path, "");
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, SaysWhichFileIsAbsent) {
  const absl::Status status = MappedFile::Open("/nowhere/at/all").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nowhere/at/all"));
}

TEST(FileNames, ListsFilesAndLinksButNoFolders) {
  const std::string folder = FreshFolder("listed");
  WriteFile(folder + "/b", "1");
  WriteFile(folder + "/inner/c", "1");
  std::filesystem::create_symlink("b", folder + "/a");
  EXPECT_THAT(FileNames(folder), testing::ElementsAre("a", "b"));
  EXPECT_TRUE(FileNames(folder + "/absent").empty());
}

TEST(IsLfsPointer, KnowsThePointerAndNothingElse) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
  EXPECT_TRUE(IsLfsPointer(pointer));
  EXPECT_FALSE(IsLfsPointer(pointer + std::string(2000, 'x'))) << "pointers are small";
  EXPECT_FALSE(IsLfsPointer("{}"));
}

}  // namespace
}  // namespace stepcast::model

#include "model/weights/data_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

TEST(DataFile, ReadsPiecesAndFollowsLinks) {
  const std::string folder = FreshFolder("data_file");
  WriteFile(folder + "/blob", "some bytes");
  std::filesystem::create_symlink("blob", folder + "/link");
  for (const char* name : {"/blob", "/link"}) {
    const auto file = DataFile::Open(folder + name);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->size(), 10U);
    EXPECT_EQ(*file->ReadAll(), "some bytes");
    std::string piece(4, '?');
    EXPECT_EQ(file->Read(5, absl::MakeSpan(piece)), absl::OkStatus());
    EXPECT_EQ(piece, "byte");
  }
}

TEST(DataFile, Moves) {
  const std::string folder = FreshFolder("moved");
  WriteFile(folder + "/a", "first");
  WriteFile(folder + "/b", "second");
  DataFile file = *DataFile::Open(folder + "/a");
  DataFile other = *DataFile::Open(folder + "/b");
  file = std::move(other);
  EXPECT_EQ(*file.ReadAll(), "second");
  EXPECT_EQ(file.path(), folder + "/b");
}

TEST(DataFile, EmptyIsNotAnError) {
  const std::string path = FreshFolder("empty_file") + "/a";
  WriteFile(path, "");
  const auto file = DataFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file->ReadAll(), "");
}

TEST(DataFile, SaysWhichFileIsAbsent) {
  const absl::Status status = DataFile::Open("/nowhere/at/all").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nowhere/at/all"));
}

TEST(DataFile, WhatIsNoFileIsRefusedAndDoesNotHang) {
  const std::string folder = FreshFolder("no_data");
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
  for (const std::string& path : {folder, folder + "/pipe"}) {
    EXPECT_EQ(DataFile::Open(path).status().message(), path + " is not a regular file");
  }
}

TEST(DataFile, SaysThatAFileWasShortenedOrChanged) {
  const std::string path = FreshFolder("changed") + "/a";
  WriteFile(path, "some bytes");
  const DataFile file = *DataFile::Open(path);
  EXPECT_EQ(file.CheckUnchanged(), absl::OkStatus());
  std::filesystem::resize_file(path, 6);
  const absl::Status read = file.ReadAll().status();
  EXPECT_EQ(read.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(read.message(), path + " ends at byte 6, earlier than when it was opened: it changed meanwhile");
  EXPECT_EQ(file.CheckUnchanged().message(), path + " changed while it was read; load it again when it is done");
}

TEST(DataFile, AnotherFileOfItsNameDoesNotDisturb) {
  const std::string folder = FreshFolder("replaced");
  WriteFile(folder + "/a", "first");
  WriteFile(folder + "/b", "the second");
  const DataFile file = *DataFile::Open(folder + "/a");
  std::filesystem::rename(folder + "/b", folder + "/a");
  EXPECT_EQ(*file.ReadAll(), "first");
  EXPECT_EQ(file.CheckUnchanged(), absl::OkStatus());
}

TEST(DataFile, ReadErrorsNameTheFileAndTheReason) {
  // Its size is told as 0, and page 0 of a process is not mapped.
  const absl::StatusOr<DataFile> memory = DataFile::Open("/proc/self/mem");
  if (!memory.ok()) GTEST_SKIP() << memory.status();
  char byte = 0;
  EXPECT_THAT(
      std::string(memory->Read(0, absl::MakeSpan(&byte, 1)).message()),
      testing::AllOf(testing::HasSubstr("cannot read /proc/self/mem at byte 0"), testing::HasSubstr("put/output")));
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

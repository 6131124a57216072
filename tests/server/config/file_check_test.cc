#include "server/config/file_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FileCheckTest : public testing::Test {
 protected:
  FileCheckTest() {
    fs::remove_all(dir_);
    fs::create_directories(dir_ / "folder");
    std::ofstream(dir_ / "file") << "x";
  }
  ~FileCheckTest() override { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::vector<std::string> One(const std::string& path) const { return FindFileMistakes({{"record_file", path}}); }
  std::vector<std::string> Two(const std::string& a, const std::string& b) const {
    return FindFileMistakes({{.key = "record_file", .path = a, .suffixes = {".old"}}, {.key = "port_file", .path = b}});
  }

  const fs::path dir_ = fs::path(testing::TempDir()) / ("stepcast_files_" + std::to_string(getpid()));
};

TEST_F(FileCheckTest, RegularFilesAndNewOnesAreFine) {
  fs::create_symlink("file", dir_ / "link");
  fs::create_symlink(dir_ / "folder" / "new", dir_ / "link_to_new");
  fs::create_symlink("folder", dir_ / "folder_link");
  for (const char* name : {"file", "new", "folder/new", "folder/../new", "link", "link_to_new", "folder_link/new"}) {
    EXPECT_THAT(One(Path(name)), IsEmpty()) << name;
  }
}

TEST_F(FileCheckTest, WhatIsNoFileIsNamed) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  fs::create_symlink("folder", dir_ / "link");
  fs::create_symlink("round", dir_ / "round");
  EXPECT_THAT(One(Path("folder")), ElementsAre(AllOf(HasSubstr("record_file: got "), HasSubstr(": a folder"))));
  EXPECT_THAT(One(Path("folder/")), ElementsAre(HasSubstr(": a folder")));
  EXPECT_THAT(One(Path("new/")), ElementsAre(HasSubstr(": a folder")));
  EXPECT_THAT(One(Path("folder/.")), ElementsAre(HasSubstr(": a folder")));
  EXPECT_THAT(One(Path("folder/..")), ElementsAre(HasSubstr(": a folder")));
  EXPECT_THAT(One(Path("link")), ElementsAre(HasSubstr(": a folder")));
  EXPECT_THAT(One(Path("pipe")), ElementsAre(HasSubstr(": a pipe")));
  EXPECT_THAT(One("/dev/null"), ElementsAre(HasSubstr(": a device")));
  EXPECT_THAT(One(Path("round")), ElementsAre(HasSubstr("links that lead to no file")));
}

// As /dev/stdout is one: a link to what has no name.
TEST_F(FileCheckTest, APipeBehindALinkOfTheKernelsIsNamed) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string link = "/proc/self/fd/" + std::to_string(ends[1]);
  fs::create_symlink(link, dir_ / "link");
  EXPECT_THAT(One(link), ElementsAre(HasSubstr(": a pipe")));
  EXPECT_THAT(One(Path("link")), ElementsAre(HasSubstr(": a pipe")));
  close(ends[0]);
  close(ends[1]);
}

TEST_F(FileCheckTest, TheFolderMustBeThere) {
  fs::create_symlink("absent/new", dir_ / "dangling");
  EXPECT_THAT(One(Path("absent/new")), ElementsAre(HasSubstr("the folder does not exist")));
  EXPECT_THAT(One(Path("file/new")), ElementsAre(HasSubstr("what should be its folder is none")));
  EXPECT_THAT(One(Path("dangling")), ElementsAre(HasSubstr("the folder does not exist")));
}

TEST_F(FileCheckTest, TheFolderMustBeWritable) {
  if (geteuid() == 0) {
    // Everything but a file system of the kernel's is root's to write.
    EXPECT_THAT(One("/proc/self/stepcast"), SizeIs(1));
    return;
  }
  fs::permissions(dir_ / "folder", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(One(Path("folder/new")), ElementsAre(HasSubstr("may not write to the folder")));
}

TEST_F(FileCheckTest, OneFileUnderTwoNames) {
  fs::create_symlink("new", dir_ / "link_to_new");
  fs::create_symlink("file", dir_ / "link");
  fs::create_symlink("folder", dir_ / "folder_link");
  fs::create_hard_link(dir_ / "file", dir_ / "hard");
  const std::vector<std::pair<std::string, std::string>> same = {
      {"new", "new"},     {"new", "./new"},    {"new", "folder/../new"},          {"new", "link_to_new"},
      {"file", "link"},   {"file", "hard"},    {"folder/new", "folder_link/new"}, {"link", "hard"},
      {"new", "new.old"}, {"link", "file.old"}};
  for (const auto& [a, b] : same) {
    EXPECT_THAT(Two(Path(a), Path(b)), ElementsAre(AllOf(HasSubstr("port_file: got "), HasSubstr("record_file's"))))
        << a << " " << b;
  }
  EXPECT_THAT(Two(Path("new"), Path("other")), IsEmpty());
  EXPECT_THAT(Two(Path("new"), Path("folder/new")), IsEmpty());
}

TEST_F(FileCheckTest, RelativeToTheWorkingFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(dir_);
  EXPECT_THAT(One("new"), IsEmpty());
  EXPECT_THAT(Two("new", Path("new")), SizeIs(1));
  fs::current_path(before);
}

TEST_F(FileCheckTest, WhatIsReadIsNotOverwritten) {
  const auto mistakes = FindFileMistakes({{.key = "the configuration", .path = Path("file"), .read_only = true},
                                          {.key = "port_file", .path = Path("file")}});
  EXPECT_THAT(mistakes, ElementsAre(HasSubstr("which is also the configuration's")));
}

TEST_F(FileCheckTest, LinksAreResolved) {
  fs::create_symlink("folder/new", dir_ / "link");
  fs::create_symlink("link", dir_ / "link_to_link");
  EXPECT_EQ(ResolveLinks(Path("link_to_link")), Path("folder/new"));
  EXPECT_EQ(ResolveLinks(Path("file")), Path("file"));
  EXPECT_EQ(ResolveLinks("absent/new"), "absent/new");
}

}  // namespace
}  // namespace stepcast

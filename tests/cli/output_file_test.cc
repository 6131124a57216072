#include "clients/cli/files/output_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace stepcast::cli {
namespace {

namespace fs = std::filesystem;

class OutputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "stepcast_output_" + std::to_string(getpid()) + "_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t Files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  std::string folder_;
};

TEST_F(OutputFileTest, NewAndOldFilesAreReplacedInOnePiece) {
  for (const char* bytes : {"first", "second"}) {
    OutputFile file(Path("a.png"));
    EXPECT_EQ(file.Check(), "");
    EXPECT_EQ(file.Write(bytes), "");
    EXPECT_EQ(Read(Path("a.png")), bytes);
  }
  EXPECT_EQ(Files(), 1u) << "nothing else stays behind";
}

TEST_F(OutputFileTest, ASymlinkStaysOneAndItsTargetIsWritten) {
  fs::create_symlink("target.png", Path("link.png"));
  OutputFile file(Path("link.png"));
  EXPECT_EQ(file.Check(), "");
  EXPECT_EQ(file.Write("bytes"), "");
  EXPECT_TRUE(fs::is_symlink(Path("link.png")));
  EXPECT_EQ(Read(Path("target.png")), "bytes");
}

TEST_F(OutputFileTest, DevicesAreWrittenThrough) {
  OutputFile file("/dev/null");
  EXPECT_EQ(file.Check(), "");
  EXPECT_TRUE(file.is_stream());
  EXPECT_EQ(file.Write("bytes"), "");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  OutputFile full("/dev/full");
  EXPECT_EQ(full.Check(), "");
  EXPECT_NE(full.Write("bytes"), "") << "a full disk is told";
}

TEST_F(OutputFileTest, WhatCannotBeWrittenIsKnownBeforeAnythingIsPainted) {
  for (const std::string& name : {Path("absent/a.png"), folder_}) {
    OutputFile file(name);
    const std::string problem = file.Check();
    EXPECT_NE(problem.find(name), std::string::npos) << problem;
  }
  EXPECT_EQ(Files(), 0u);
}

}  // namespace
}  // namespace stepcast::cli

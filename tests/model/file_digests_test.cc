#include "model/files/file_digests.h"

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "core/sha256.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

std::shared_ptr<const DataFile> Open(const std::string& path) {
  return std::make_shared<const DataFile>(*DataFile::Open(path));
}

TEST(FileDigests, AreThoseOfTheFilesWhoeverOpensThem) {
  const std::string folder = FreshFolder("digests");
  const std::string long_text(3'000'001, 'x');  // several pieces
  WriteFile(folder + "/a", long_text);
  WriteFile(folder + "/b", "");
  WriteFile(folder + "/c", "abc");
  FileDigests digests;
  for (const char* name : {"/a", "/b", "/a"}) digests.Add(Open(folder + name));
  EXPECT_EQ(*digests.Of(folder + "/b"), Sha256Hex(""));
  EXPECT_EQ(*digests.Of(folder + "/a"), Sha256Hex(long_text));
  EXPECT_EQ(*digests.Of(folder + "/a"), Sha256Hex(long_text)) << "asked again";
  EXPECT_EQ(*digests.Of(folder + "/c"), Sha256Hex("abc")) << "not added";
  EXPECT_EQ(digests.Of(folder + "/d").status().code(), absl::StatusCode::kNotFound);
}

TEST(FileDigests, AFileThatChangedHasNone) {
  const std::string path = FreshFolder("digests_changed") + "/a";
  WriteFile(path, "abc");
  const auto file = Open(path);
  std::filesystem::resize_file(path, 4);
  FileDigests digests;
  digests.Add(file);
  EXPECT_EQ(digests.Of(path).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FileDigests, MayBeGivenUp) {
  const std::string path = FreshFolder("digests_given_up") + "/a";
  WriteFile(path, "");
  std::filesystem::resize_file(path, uint64_t{1} << 40);  // hours of zeros
  FileDigests digests;
  digests.Add(Open(path));
}

}  // namespace
}  // namespace stepcast::model

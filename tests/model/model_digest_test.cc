#include "model/model_digest.h"

#include <string>

#include <gtest/gtest.h>

#include "core/sha256.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

TEST(ModelDigest, IsTheDigestOfTheListOfDigests) {
  const std::string folder = FreshFolder("digest");
  WriteFile(folder + "/unet/w", "abc");
  WriteFile(folder + "/index", "");
  const std::string list = Sha256Hex("") + "  index\n" + Sha256Hex("abc") + "  unet/w\n";
  EXPECT_EQ(*ModelDigest(folder, {folder + "/unet/w", folder + "/index", folder + "/index"}), Sha256Hex(list));
}

TEST(ModelDigest, ChangesWithAnyByteAndAnyName) {
  const std::string folder = FreshFolder("digest_change");
  WriteFile(folder + "/a", "abc");
  WriteFile(folder + "/b", "abc");
  const std::string before = *ModelDigest(folder, {folder + "/a"});
  EXPECT_NE(*ModelDigest(folder, {folder + "/b"}), before);
  WriteFile(folder + "/a", "abd");
  EXPECT_NE(*ModelDigest(folder, {folder + "/a"}), before);
}

TEST(ModelDigest, SaysWhichFileIsAbsent) {
  EXPECT_EQ(ModelDigest("/nowhere", {"/nowhere/a"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace stepcast::model

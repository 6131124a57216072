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
  WriteFile(folder + "/c", "");
  const std::string before = *ModelDigest(folder, {folder + "/a", folder + "/c"});
  EXPECT_NE(*ModelDigest(folder, {folder + "/b", folder + "/c"}), before);
  WriteFile(folder + "/a", "abd");
  EXPECT_NE(*ModelDigest(folder, {folder + "/a", folder + "/c"}), before);
}

TEST(ModelDigest, OfOneFileIsItsOwn) {
  const std::string folder = FreshFolder("digest_one");
  WriteFile(folder + "/a.safetensors", "abc");
  EXPECT_EQ(*ModelDigest(folder, {folder + "/a.safetensors", folder + "/a.safetensors"}), Sha256Hex("abc"));
}

TEST(ModelDigest, DoesNotTellWhereAPartFromElsewhereLies) {
  const std::string folder = FreshFolder("digest_here");
  const std::string left = FreshFolder("digest_left"), right = FreshFolder("digest_right");
  WriteFile(folder + "/a", "abc");
  for (const std::string& elsewhere : {left, right}) WriteFile(elsewhere + "/vae.safetensors", "def");
  EXPECT_EQ(*ModelDigest(folder, {folder + "/a", left + "/vae.safetensors"}),
            *ModelDigest(folder, {folder + "/a", right + "/vae.safetensors"}));
}

TEST(ModelDigest, SaysWhichFileIsAbsent) {
  EXPECT_EQ(ModelDigest("/nowhere", {"/nowhere/a"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace stepcast::model

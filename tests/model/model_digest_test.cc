#include "model/files/model_digest.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/sha256.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

absl::StatusOr<std::string> Digest(const std::string& folder, const std::vector<std::string>& paths) {
  FileDigests files;
  return ModelDigest(folder, paths, files);
}

TEST(ModelDigest, IsTheDigestOfTheListOfDigests) {
  const std::string folder = FreshFolder("digest");
  WriteFile(folder + "/unet/w", "abc");
  WriteFile(folder + "/index", "");
  const std::string list = Sha256Hex("") + "  index\n" + Sha256Hex("abc") + "  unet/w\n";
  EXPECT_EQ(*Digest(folder, {folder + "/unet/w", folder + "/index", folder + "/index"}), Sha256Hex(list));
}

TEST(ModelDigest, ChangesWithAnyByteAndAnyName) {
  const std::string folder = FreshFolder("digest_change");
  WriteFile(folder + "/a", "abc");
  WriteFile(folder + "/b", "abc");
  WriteFile(folder + "/c", "");
  const std::string before = *Digest(folder, {folder + "/a", folder + "/c"});
  EXPECT_NE(*Digest(folder, {folder + "/b", folder + "/c"}), before);
  WriteFile(folder + "/a", "abd");
  EXPECT_NE(*Digest(folder, {folder + "/a", folder + "/c"}), before);
}

TEST(ModelDigest, OfOneFileIsItsOwn) {
  const std::string folder = FreshFolder("digest_one");
  WriteFile(folder + "/a.safetensors", "abc");
  EXPECT_EQ(*Digest(folder, {folder + "/a.safetensors", folder + "/a.safetensors"}), Sha256Hex("abc"));
}

TEST(ModelDigest, DoesNotTellWhereAPartFromElsewhereLies) {
  const std::string folder = FreshFolder("digest_here");
  const std::string left = FreshFolder("digest_left"), right = FreshFolder("digest_right");
  WriteFile(folder + "/a", "abc");
  for (const std::string& elsewhere : {left, right}) WriteFile(elsewhere + "/vae.safetensors", "def");
  EXPECT_EQ(*Digest(folder, {folder + "/a", left + "/vae.safetensors"}),
            *Digest(folder, {folder + "/a", right + "/vae.safetensors"}));
}

TEST(ModelDigest, SaysWhichFileIsAbsent) {
  EXPECT_EQ(Digest("/nowhere", {"/nowhere/a"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace stepcast::model

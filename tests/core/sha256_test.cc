#include "core/sha256.h"

#include <string>

#include <gtest/gtest.h>

namespace stepcast {
namespace {

struct Vector {
  std::string message;
  const char* digest;
};

// FIPS 180-4 examples and NIST's short-message vectors, chosen around the padding edge (55, 56, 64 bytes).
TEST(Sha256, PublishedVectors) {
  const Vector kVectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrst"
       "u",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string("\xd3", 1), "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Vector& vector : kVectors) EXPECT_EQ(Sha256Hex(vector.message), vector.digest) << vector.message.size();
}

TEST(Sha256, PiecesOfAnySizeGiveTheSameDigest) {
  std::string message;
  for (int i = 0; i < 300; ++i) message.push_back(static_cast<char>(i * 7));
  const std::string whole = Sha256Hex(message);
  for (size_t piece : {1, 3, 55, 56, 63, 64, 65, 128, 299}) {
    Sha256 hash;
    for (size_t at = 0; at < message.size(); at += piece) hash.Update(std::string_view(message).substr(at, piece));
    EXPECT_EQ(hash.HexDigest(), whole) << piece;
  }
}

}  // namespace
}  // namespace stepcast

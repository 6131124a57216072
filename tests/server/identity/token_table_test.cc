#include "server/identity/token_table.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

TokenEntry Of(const std::string& token) { return {.digest = DigestOf(token), .tenant = token}; }

TEST(TokenTableTest, EveryTokenIsFoundAndNothingElse) {
  std::vector<TokenEntry> entries;
  for (int i = 0; i < 100; ++i) entries.push_back(Of(absl::StrCat("token", i)));
  const TokenTable table(std::move(entries));
  for (int i = 0; i < 100; ++i) {
    const TokenEntry* const found = table.Find(absl::StrCat("token", i));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->tenant, absl::StrCat("token", i));
  }
  for (const char* const stranger : {"", "token", "token100", "Token1", "token1 "}) {
    EXPECT_EQ(table.Find(stranger), nullptr) << stranger;
  }
  EXPECT_EQ(TokenTable({}).Find("token1"), nullptr);
}

// One bit of the digest decides, wherever it is.
TEST(TokenTableTest, DigestsThatDifferInOneBitAreOthers) {
  for (size_t word = 0; word < 4; ++word) {
    for (int bit = 0; bit < 64; ++bit) {
      TokenEntry near = Of("token");
      near.digest[word] ^= uint64_t{1} << bit;
      EXPECT_EQ(TokenTable({near}).Find("token"), nullptr) << word << " " << bit;
    }
  }
}

}  // namespace
}  // namespace stepcast

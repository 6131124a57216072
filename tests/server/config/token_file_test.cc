#include "server/config/token_file.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<Role> kBoth = {Role::kPaint, Role::kRead};

TEST(TokenFileTest, AnEntrySaysWhoseTokenItIs) {
  const auto tokens = ParseTokens(
      absl::StrCat("# comments are fine\n- {sha256: ", Sha256Hex("secret"),
                   ", tenant: acme, name: web, roles: [read], expires: 2027-01-31T12:00:00+01:00}\n- {sha256: ",
                   Sha256Hex("other"), ", tenant: globex}\n"),
      "tokens.yaml", kBoth);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  ASSERT_EQ(tokens->size(), 2u);
  const TokenEntry& web = tokens->front();
  EXPECT_EQ(web.digest, DigestOf("secret"));
  EXPECT_EQ(web.tenant, "acme");
  EXPECT_EQ(web.name, "web");
  EXPECT_THAT(web.roles, ElementsAre(Role::kRead));
  EXPECT_EQ(absl::FormatTime(web.expires, absl::UTCTimeZone()), "2027-01-31T11:00:00+00:00");
  EXPECT_THAT(tokens->back().roles, ElementsAre(Role::kPaint, Role::kRead)) << "all that the port has";
  EXPECT_EQ(tokens->back().expires, absl::InfiniteFuture());
}

TEST(TokenFileTest, EveryMistakeHasItsLineAndNoneShowsAHash) {
  const std::string hash = Sha256Hex("secret");
  const auto tokens = ParseTokens(absl::StrCat("- {sha256: ", hash, ", tenant: acme}\n",                           //
                                               "- {sha256: ", hash, ", tenant: acme}\n",                           //
                                               "- {sha256: sct_pasted_by_mistake, tenant: acme}\n",                //
                                               "- {sha256: ", Sha256Hex("a"), ", tenant: \"a b\"}\n",              //
                                               "- {sha256: ", Sha256Hex("b"), ", tenant: a, roles: [operate]}\n",  //
                                               "- {sha256: ", Sha256Hex("c"), ", tenant: a, expires: soon}\n",     //
                                               "- {sha256: ", Sha256Hex("d"), ", tenant: a, tennant: b}\n"),
                                  "tokens.yaml", kBoth);
  const std::string message(tokens.status().message());
  EXPECT_THAT(message, HasSubstr("tokens.yaml:2: [1].sha256: this token was given already"));
  EXPECT_THAT(message, HasSubstr("tokens.yaml:3: [2].sha256: got 21 characters; allowed: the 64 hex digits"));
  EXPECT_THAT(message, HasSubstr("tokens.yaml:4: [3].tenant: got \"a b\""));
  EXPECT_THAT(message, HasSubstr("tokens.yaml:5: [4].roles: got \"operate\"; allowed: paint, read"));
  EXPECT_THAT(message, HasSubstr("tokens.yaml:6: [5].expires: got \"soon\"; allowed: a time like"));
  EXPECT_THAT(message, HasSubstr("tokens.yaml:7: unknown key [6].\"tennant\"; did you mean tenant?"));
  EXPECT_THAT(message, testing::Not(HasSubstr(hash)));
  EXPECT_THAT(message, testing::Not(HasSubstr("sct_pasted"))) << "what was pasted may be a token";
}

TEST(TokenFileTest, OnlyAListIsAFileOfTokens) {
  EXPECT_FALSE(ParseTokens("sha256: abc", "t", kBoth).ok());
  EXPECT_FALSE(ParseTokens("- just text", "t", kBoth).ok());
  EXPECT_TRUE(ParseTokens("", "t", kBoth).ok());
  EXPECT_EQ(LoadTokens("/no/such/file", kBoth).status(), absl::NotFoundError("/no/such/file: there is no such file"));
}

TEST(TokenFileTest, AMadeTokenIsLetInByItsLine) {
  const auto made = MakeToken("acme");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(made->token, testing::MatchesRegex("sct_[A-Za-z0-9_-]{43}")) << "256 bits";
  EXPECT_THAT(made->line, testing::Not(HasSubstr(made->token)));
  const auto tokens = ParseTokens(made->line + "\n", "t", kBoth);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  ASSERT_EQ(tokens->size(), 1u);
  EXPECT_EQ(tokens->front().digest, DigestOf(made->token));
  EXPECT_EQ(tokens->front().tenant, "acme");
  EXPECT_NE(MakeToken("acme")->token, made->token);
  EXPECT_FALSE(MakeToken("a b").ok());
}

}  // namespace
}  // namespace stepcast

#include "server/identity/access_rules.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = absl::StrCat(testing::TempDir(), name);
  std::ofstream(path) << text;
  return path;
}

TEST(AccessRulesTest, FilesOfBothPortsAreRead) {
  ServerConfig config;
  const std::string hash = Sha256Hex("a");
  config.auth.token_file = Write("public.yaml", absl::StrCat("- {sha256: ", hash, ", tenant: acme}\n"));
  config.admin.token_file =
      Write("admin.yaml", absl::StrCat("- {sha256: ", hash, ", tenant: ops, roles: [operate]}\n"));
  const auto access = LoadAccess(config, absl::UnixEpoch());
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ((*access)->tokens->Find("a")->tenant, "acme");
  EXPECT_EQ((*access)->admin_tokens->Find("a")->tenant, "ops");
  config.admin.token_file = "";
  EXPECT_FALSE((*LoadAccess(config, absl::UnixEpoch()))->admin_tokens.has_value());
}

TEST(AccessRulesTest, AllMistakesOfBothAreTold) {
  ServerConfig config;
  config.auth.token_file = Write("none.yaml", "");
  config.admin.token_file = "/no/such/file";
  const auto access = LoadAccess(config, absl::UnixEpoch());
  EXPECT_THAT(std::string(access.status().message()),
              testing::AllOf(testing::HasSubstr("none.yaml: no token that is valid: nobody could call"),
                             testing::HasSubstr("/no/such/file: there is no such file")));
}

TEST(AccessRulesTest, TokensThatHaveAllExpiredLetNobodyIn) {
  ServerConfig config;
  config.auth.token_file = Write(
      "old.yaml", absl::StrCat("- {sha256: ", Sha256Hex("a"), ", tenant: acme, expires: 2020-01-01T00:00:00Z}\n"));
  EXPECT_TRUE(LoadAccess(config, absl::UnixEpoch()).ok());
  EXPECT_FALSE(LoadAccess(config, absl::FromUnixSeconds(1'800'000'000)).ok());
}

}  // namespace
}  // namespace stepcast

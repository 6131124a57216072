#include "server/wire/version.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(VersionTest, IsSemanticAndNamesTheSource) {
  EXPECT_THAT(std::string(kVersion), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(std::string(kCommit), testing::MatchesRegex("[0-9a-f]+|unknown"));
}

}  // namespace
}  // namespace stepcast

#include "server/wire/names.h"

#include <string>

#include "gtest/gtest.h"

namespace stepcast {
namespace {

TEST(ModelIdTest, FollowsThePattern) {
  for (const std::string& id : {std::string("a"), std::string("0"), std::string("sd-1.5_x"), std::string(63, 'a')}) {
    EXPECT_TRUE(IsModelId(id)) << id;
  }
  for (const std::string& id :
       {std::string(), std::string("-a"), std::string("A"), std::string("a/b"), std::string("a b"),
        std::string("\xC3\xBC"), std::string("a\0", 2), std::string(64, 'a'), std::string("..")}) {
    EXPECT_FALSE(IsModelId(id)) << id;
  }
}

TEST(TenantsTest, NamesAreShortAndPlain) {
  for (const std::string name : {"a", "7", "acme", "Team-7.paint_b@example.com", "default"}) {
    EXPECT_TRUE(IsTenantName(name)) << name;
  }
  EXPECT_TRUE(IsTenantName(std::string(64, 'x')));
  for (const std::string name : {"", "-a", ".a", "@a", "a b", "a\n", "a/b", "caf\xc3\xa9", "a\"", "a,b"}) {
    EXPECT_FALSE(IsTenantName(name)) << name;
  }
  EXPECT_FALSE(IsTenantName(std::string(65, 'x')));
  EXPECT_FALSE(IsTenantName(std::string("a\0b", 3)));
}

}  // namespace
}  // namespace stepcast

#include "server/request/tenants.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

TEST(TenantsTest, WhoSaysNothingIsTheDefault) {
  const TenantsConfig config;
  Tenants tenants(config);
  EXPECT_EQ(*tenants.Resolve(""), "default");
  EXPECT_EQ(*tenants.Resolve("default"), "default");
  EXPECT_EQ(*tenants.Resolve("acme"), "acme");
}

TEST(TenantsTest, WhatCannotBeANameIsRefused) {
  TenantsConfig config;
  config.metadata_key = "x-team";
  Tenants tenants(config);
  EXPECT_THAT(ViolationsOf(tenants.Resolve("a b").status()),
              testing::ElementsAre("x-team: got \"a b\"; allowed: [A-Za-z0-9][A-Za-z0-9._@-]{0,63}"));
}

TEST(TenantsTest, InventedNamesAreBoundedAndConfiguredOnesAlwaysKnown) {
  TenantsConfig config;
  config.max = 2;
  config.named["vip"] = {};
  Tenants tenants(config);
  EXPECT_EQ(*tenants.Resolve("a"), "a");
  EXPECT_EQ(*tenants.Resolve("b"), "b");
  EXPECT_EQ(*tenants.Resolve("c"), "default") << "one too many";
  EXPECT_EQ(*tenants.Resolve("a"), "a");
  EXPECT_EQ(*tenants.Resolve("vip"), "vip");
}

TEST(TenantsTest, LabelsAreTheConfigurationsAlone) {
  TenantsConfig config;
  config.named["vip"] = {};
  Tenants tenants(config);
  ASSERT_TRUE(tenants.Resolve("somebody").ok());
  EXPECT_THAT(tenants.Labels(), testing::ElementsAre("default", "vip"));
}

}  // namespace
}  // namespace stepcast

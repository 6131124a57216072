#include "server/request/tenants.h"

#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/wire/names.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

// A server's tenants under one configuration.
struct Named {
  const TenantsConfig& config;
  Tenants tenants = {};
};

absl::StatusOr<std::string> Resolve(Named& named, const std::vector<std::string_view>& claims) {
  return named.tenants.Resolve(named.config, claims);
}

TEST(TenantsTest, WhoSaysNothingIsTheDefault) {
  const TenantsConfig config;
  Named tenants{config};
  EXPECT_EQ(*Resolve(tenants, {""}), "default");
  EXPECT_EQ(*Resolve(tenants, {"default"}), "default");
  EXPECT_EQ(*Resolve(tenants, {"acme"}), "acme");
}

TEST(TenantsTest, WhatCannotBeANameIsRefused) {
  TenantsConfig config;
  config.metadata_key = "x-team";
  Named tenants{config};
  EXPECT_THAT(ViolationsOf(Resolve(tenants, {"a b"}).status()),
              testing::ElementsAre("x-team: got \"a b\"; allowed: [A-Za-z0-9][A-Za-z0-9._@-]{0,63}"));
}

TEST(TenantsTest, TwoNamesAreNone) {
  TenantsConfig config;
  config.metadata_key = "x-team";
  Named tenants{config};
  EXPECT_EQ(*Resolve(tenants, {}), "default");
  EXPECT_EQ(*Resolve(tenants, {"acme", "acme"}), "acme") << "said twice, and meant once";
  EXPECT_THAT(ViolationsOf(Resolve(tenants, {"acme", "acme", "globex"}).status()),
              testing::ElementsAre("x-team: got \"acme\" and \"globex\"; allowed: one name"));
  EXPECT_THAT(ViolationsOf(Resolve(tenants, {"", "acme"}).status()),
              testing::ElementsAre("x-team: got \"\" and \"acme\"; allowed: one name"));
  EXPECT_FALSE(Resolve(tenants, {"acme", "default"}).ok());
}

TEST(TenantsTest, NoTenantIsCalledLikeTheRestInMetrics) {
  TenantsConfig config;
  Named tenants{config};
  EXPECT_FALSE(Resolve(tenants, {kOtherTenants}).ok());
  EXPECT_EQ(*Resolve(tenants, {"other"}), "other");
}

TEST(TenantsTest, InventedNamesAreBoundedAndConfiguredOnesAlwaysKnown) {
  TenantsConfig config;
  config.max = 2;
  config.named["vip"] = {};
  Named tenants{config};
  EXPECT_EQ(*Resolve(tenants, {"a"}), "a");
  EXPECT_EQ(*Resolve(tenants, {"b"}), "b");
  EXPECT_EQ(*Resolve(tenants, {"c"}), "default") << "one too many";
  EXPECT_EQ(*Resolve(tenants, {"a"}), "a");
  EXPECT_EQ(*Resolve(tenants, {"vip"}), "vip");
}

TEST(TenantsTest, LabelsAreTheConfigurationsAlone) {
  TenantsConfig config;
  config.named["vip"] = {};
  Named tenants{config};
  ASSERT_TRUE(Resolve(tenants, {"somebody"}).ok());
  EXPECT_THAT(TenantLabels(config), testing::ElementsAre("default", "vip"));
}

}  // namespace
}  // namespace stepcast

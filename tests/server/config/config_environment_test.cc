#include "server/config/config_environment.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/config/config.h"
#include "server/config/config_printer.h"

namespace stepcast {
namespace {

using testing::HasSubstr;

absl::StatusOr<ServerConfig> Parse(const std::string& text, const ConfigVariables& variables,
                                   const ConfigOverrides& overrides = {}) {
  return ParseServerConfig("models: [{id: m, path: m}]\n" + text, "a.yaml", overrides, variables);
}

TEST(ConfigEnvironmentTest, VariablesWinOverTheFileAndFlagsOverBoth) {
  const std::string file = "limits: {max_side: 512, max_steps: 20}\nlisten: {port: 1}\n";
  const auto config = Parse(file, {{"STEPCAST_LIMITS_MAX_SIDE", "1024"},
                                   {"STEPCAST_SCHEDULER_PROFILE_BUDGET", "3s"},
                                   {"STEPCAST_LISTEN_PORT", "2"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->limits.max_side, 1024);
  EXPECT_EQ(config->limits.max_steps, 20) << "its neighbour stays";
  EXPECT_EQ(config->scheduler.profile.budget, absl::Seconds(3)) << "two levels that the file lacks";
  EXPECT_EQ(config->listen.port, 2);
  ConfigOverrides flags;
  flags.port = 3;
  EXPECT_EQ(Parse(file, {{"STEPCAST_LISTEN_PORT", "2"}}, flags)->listen.port, 3);
}

TEST(ConfigEnvironmentTest, ListsAndNothingAreValues) {
  const auto config = Parse("port_file: ports\n", {{"STEPCAST_MODELS", "[{id: a, path: x}, {id: b, path: y}]"},
                                                   {"STEPCAST_PORT_FILE", ""},
                                                   {"STEPCAST_TENANTS_NAMED", "[{name: acme, weight: 2}]"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->engine.models.size(), 2u);
  EXPECT_EQ(config->port_file, "");
  EXPECT_EQ(config->tenants.named.at("acme").weight, 2);
}

TEST(ConfigEnvironmentTest, MistakesNameTheVariable) {
  const auto wrong = [](const ConfigVariables& variables) {
    return std::string(Parse("", variables).status().message());
  };
  EXPECT_EQ(wrong({{"STEPCAST_LIMITS_MAX_SIDE", "huge"}}),
            "a.yaml: STEPCAST_LIMITS_MAX_SIDE: got \"huge\"; allowed: a whole number in 8..8192");
  EXPECT_THAT(wrong({{"STEPCAST_LIMITS_MAX_SIDE", "[1"}}),
              HasSubstr("STEPCAST_LIMITS_MAX_SIDE: got 2 bytes that are no YAML"));
  EXPECT_EQ(wrong({{"STEPCAST_LISTEN_PROT", "1"}}),
            "a.yaml: STEPCAST_LISTEN_PROT is the variable of no key of the configuration");
}

TEST(ConfigEnvironmentTest, WhatIsNoKeyIsSomebodyElses) {
  const auto config = Parse("", {{"STEPCAST_HOST", "example.com"},
                                 {"STEPCAST_TOKEN", "sct_x"},
                                 {"STEPCAST_ADMIN", "example.com:50052"},
                                 {"STEPCAST_ADMIN_TOKEN", "sct_y"},
                                 {"STEPCAST_PRESET", "fast"},
                                 {"STEPCAST_PORT", "tcp://10.0.0.1:50051"},
                                 {"STEPCAST_SERVICE_HOST", "10.0.0.1"},
                                 {"STEPCAST_ADMIN_SERVICE_PORT", "50052"},
                                 {"STEPCAST_ADMIN_PORT_50052_TCP_ADDR", "10.0.0.1"}});
  EXPECT_TRUE(config.ok()) << config.status();
}

TEST(ConfigEnvironmentTest, EveryKeyHasAVariableThatSetsIt) {
  const auto plain = Parse("", {});
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (const ConfigEntry& entry : DescribeConfig(*plain)) {
    // The value it has already is a value it takes.
    const auto config = Parse("", {{VariableOf(entry.key), entry.value}});
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(DescribeConfig(*config), DescribeConfig(*plain)) << entry.key;
    // And one that cannot be is refused by its name: the variable is read.
    const std::string refusal(Parse("", {{VariableOf(entry.key), "{not: {a: value}}"}}).status().message());
    EXPECT_THAT(refusal, HasSubstr(VariableOf(entry.key))) << entry.key;
  }
}

}  // namespace
}  // namespace stepcast

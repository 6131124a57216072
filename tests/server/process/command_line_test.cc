#include "server/process/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast {
namespace {

using ::testing::HasSubstr;

TEST(CommandLineTest, ReadsEveryFlag) {
  const CommandLine line =
      ParseCommandLine({"--config=a.yaml", "--check_config", "--host", "::1", "--port=0", "--admin_port", "-1",
                        "--metrics_port=-1", "--models_dir=models", "--control_nets_dir=nets", "--default_model=emoji",
                        "--device=cpu", "--dtype=bf16", "--threads=3", "--policy=fifo", "--profile_budget=1m30s",
                        "--port_file=ports.json", "--validate-model=m.safetensors"});
  ASSERT_FALSE(line.ends) << line.text;
  EXPECT_TRUE(line.validate_model);
  EXPECT_EQ(line.overrides.validate_model, "m.safetensors");
  EXPECT_EQ(line.config, "a.yaml");
  EXPECT_TRUE(line.check_config);
  const ConfigOverrides& overrides = line.overrides;
  EXPECT_EQ(overrides.host, "::1");
  EXPECT_EQ(overrides.port, 0);
  EXPECT_EQ(overrides.admin_port, -1);
  EXPECT_EQ(overrides.metrics_port, -1);
  EXPECT_EQ(overrides.models_dir, "models");
  EXPECT_EQ(overrides.control_nets_dir, "nets");
  EXPECT_EQ(overrides.default_model, "emoji");
  EXPECT_EQ(overrides.device, "cpu");
  EXPECT_EQ(overrides.dtype, "bf16");
  EXPECT_EQ(overrides.threads, 3);
  EXPECT_EQ(overrides.policy, "fifo");
  EXPECT_EQ(overrides.profile_budget, absl::Seconds(90));
  EXPECT_EQ(overrides.port_file, "ports.json");
}

TEST(CommandLineTest, NothingOverridesNothing) {
  const CommandLine line = ParseCommandLine({});
  EXPECT_FALSE(line.ends);
  EXPECT_FALSE(line.check_config);
  EXPECT_FALSE(line.overrides.port.has_value());
  EXPECT_FALSE(line.overrides.profile_budget.has_value());
}

TEST(CommandLineTest, ValuesMayBeEmptyOrLookLikeFlags) {
  const CommandLine line = ParseCommandLine({"--port_file=", "--host=--port", "--port=7", "--models-dir=a-b=c"});
  ASSERT_FALSE(line.ends) << line.text;
  EXPECT_EQ(line.overrides.port_file, "");
  EXPECT_EQ(line.overrides.host, "--port");
  EXPECT_EQ(line.overrides.port, 7);
  EXPECT_EQ(line.overrides.models_dir, "a-b=c");
}

TEST(CommandLineTest, TheLastOneCounts) {
  const CommandLine line = ParseCommandLine({"--port=1", "--config=a", "--port=2", "--config", "b"});
  ASSERT_FALSE(line.ends) << line.text;
  EXPECT_EQ(line.overrides.port, 2);
  EXPECT_EQ(line.config, "b");
}

TEST(CommandLineTest, HelpShowsEveryFlagAndIsNoMistake) {
  const CommandLine line = ParseCommandLine({"--help"});
  EXPECT_TRUE(line.ends);
  EXPECT_EQ(line.exit_code, 0);
  for (const char* flag : {"--config", "--check_config", "--host", "--port", "--admin_port", "--metrics_port",
                           "--models_dir", "--control_nets_dir", "--default_model", "--device", "--dtype", "--threads",
                           "--policy", "--profile_budget", "--port_file", "--version"}) {
    EXPECT_THAT(line.text, HasSubstr(flag));
  }
  const CommandLine version = ParseCommandLine({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.text, HasSubstr("stepcast-server "));
}

TEST(CommandLineTest, MistakesEndWith2AndSayWhich) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--frobnicate"}, "--frobnicate"},
      {{"serve"}, "serve"},
      {{"--port=many"}, "--port"},
      {{"--port="}, "--port"},
      {{"--port=99999999999999999999"}, "--port"},
      {{"--port=1.5"}, "--port"},
      {{"--port"}, "--port"},
      {{"--threads=two"}, "--threads"},
      {{"--check_config=perhaps"}, "--check_config"},
      {{"--profile_budget=5"}, "--profile_budget: got \"5\"; allowed: a duration"}};
  for (const auto& [arguments, expected] : cases) {
    const CommandLine line = ParseCommandLine(arguments);
    EXPECT_TRUE(line.ends) << arguments[0];
    EXPECT_EQ(line.exit_code, 2) << arguments[0];
    EXPECT_THAT(line.text, HasSubstr(expected));
    EXPECT_THAT(line.text, HasSubstr("--help"));
    EXPECT_EQ(line.text.find('\n'), line.text.size() - 1) << "one line";
  }
}

}  // namespace
}  // namespace stepcast

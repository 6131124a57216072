#include "server/config/config_printer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <yaml-cpp/yaml.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using testing::ElementsAre;

const std::string kExample = std::string(STEPCAST_SOURCE_DIR) + "/deploy/config.example.yaml";

void Collect(const YAML::Node& node, const std::string& prefix, std::set<std::string>& keys) {
  for (const auto& pair : node) {
    const std::string key = prefix + pair.first.Scalar();
    if (pair.second.IsMap()) {
      Collect(pair.second, key + ".", keys);
    } else {
      keys.insert(key);
    }
  }
}

// The example shows every key, so whoever adds one is told here where else it belongs.
TEST(ConfigPrinterTest, EveryKeyOfTheExampleIsTold) {
  std::set<std::string> shown;
  Collect(YAML::LoadFile(kExample), "", shown);
  shown.erase("control_nets_dir");  // what it holds is told as control_nets
  std::set<std::string> told;
  for (const ConfigEntry& entry : DescribeConfig(ServerConfig())) told.insert(entry.key);
  EXPECT_EQ(told, shown);
}

TEST(ConfigPrinterTest, WhatIsPrintedIsReadAsTheSame) {
  const std::string text = R"(
models: [{id: m, path: "dir with: odd \"name\"", load: pinned, devices: [cpu]}, {id: n, path: n}]
default_model: n
device: cpu
strict_rows: auto
max_resident_jobs: 3
memory_budget: 12GiB
control_nets_budget: none
default_deadline: 90s
limits: {max_megapixel_steps: 12.5, input_pictures: {max_control: 1}}
listen: {host: "unix:/run/x.sock", admin_port: off, socket_mode: 0600}
scheduler: {max_queued_work: 3m, profile: {budget: 0}}
tenants:
  default: {models: [m], requests_per_second: 0.1}
  named: [{name: acme, weight: 2.5, models: all, max_queued_work: 10s}, {name: b@c, models: []}]
log: {level: warning, prompts: true}
)";
  const auto config = ParseServerConfig(text, "a.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string page = PrintConfig(*config, {});
  const auto again = ParseServerConfig(page, "b.yaml", {});
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << page;
  EXPECT_EQ(DescribeConfig(*again), DescribeConfig(*config)) << page;
  EXPECT_EQ(again->tenants, config->tenants);
  EXPECT_THAT(ChangedKeys(*again, *config), ElementsAre());
}

TEST(ConfigPrinterTest, SourcesStandBehindValues) {
  const std::string page = PrintConfig(ServerConfig(), {{"limits.max_side", "flag"}});
  EXPECT_THAT(page, testing::HasSubstr("\nlimits:\n  max_prompt_bytes: 8192\n"));
  EXPECT_THAT(page, testing::HasSubstr("\n  max_side: 2048  # flag\n"));
}

TEST(ConfigPrinterTest, ChangedKeysAreThoseThatDiffer) {
  ServerConfig other;
  other.limits.max_side = 8;
  other.tenants.named["acme"] = {};
  EXPECT_THAT(ChangedKeys(ServerConfig(), other), ElementsAre("limits.max_side", "tenants.named"));
}

}  // namespace
}  // namespace stepcast

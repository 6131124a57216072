#include "server/config/control_config.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/config/config.h"

namespace stepcast {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr char kModel[] = "models: [{id: emoji, path: emoji}]\n";

absl::StatusOr<ServerConfig> Parse(const std::string& text, const ConfigOverrides& overrides = {}) {
  return ParseServerConfig(absl::StrCat(kModel, text), "/etc/stepcast/a.yaml", overrides);
}

// A folder of nets and of what lies beside them.
std::string NetsDir(const std::string& name) {
  const std::filesystem::path dir = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::remove_all(dir);
  for (const char* file : {"Canny/config.json", "sketch.safetensors", "whole/model_index.json", "empty/readme",
                           "notes.txt", "canny.safetensors", ".hidden"}) {
    std::filesystem::create_directories((dir / file).parent_path());
    std::ofstream(dir / file) << "{}";
  }
  return dir.string();
}

TEST(ControlConfigTest, ReadsEveryKey) {
  const auto config = Parse(R"(
control_nets:
  - {id: canny, path: nets/canny, dtype: bf16}
  - {id: depth.xl, path: /srv/depth.safetensors}
control_nets_budget: 2GiB
)");
  ASSERT_TRUE(config.ok()) << config.status();
  const EngineOptions& engine = config->engine;
  ASSERT_EQ(engine.control_nets.size(), 2u);
  EXPECT_EQ(engine.control_nets[0].id, "canny");
  EXPECT_EQ(engine.control_nets[0].path, "/etc/stepcast/nets/canny");
  EXPECT_EQ(engine.control_nets[0].dtype, Dtype::kBf16);
  EXPECT_EQ(engine.control_nets[1].path, "/srv/depth.safetensors");
  EXPECT_EQ(engine.control_nets[1].dtype, std::nullopt);
  EXPECT_EQ(engine.control_nets_budget, int64_t{2} << 30);
  EXPECT_EQ(Parse("")->engine.control_nets_budget, kNoMemoryBudget);
}

TEST(ControlConfigTest, MistakesAreNamedWithTheirLine) {
  const std::pair<const char*, const char*> kMistakes[] = {
      {"control_nets: 3", "a.yaml:2: control_nets: allowed: a list"},
      {"control_nets: [{id: A, path: x}]", "control_nets[0].id: got \"A\"; allowed: [a-z0-9]"},
      {"control_nets: [{id: a}]", "control_nets[0].path: got nothing"},
      {"control_nets: [{id: a, path: x}, {id: a, path: y}]",
       "control_nets[1].id: \"a\" is the id of another net already"},
      {"control_nets: [{id: a, path: x, dtype: fp8}]", "control_nets[0].dtype"},
      {"control_nets: [{id: a, path: x, weight: 1}]", "a.yaml:2: unknown key control_nets[0].\"weight\"; known here: id, path, dtype"},
      {"control_nets_dir: /no/such/folder", "control_nets_dir: \"/no/such/folder\" is no folder that can be read"},
      {"control_nets_budget: 3 apples", "control_nets_budget: got \"3 apples\"; allowed: none, or a size"},
      {"control_nets_budget: 1kB", "from 1MiB on"},
  };
  for (const auto& [text, message] : kMistakes) {
    EXPECT_THAT(std::string(Parse(text).status().message()), HasSubstr(message)) << text;
  }
}

TEST(ControlConfigTest, AFolderGivesItsNetsAndALineForEverythingElse) {
  const std::string dir = NetsDir("control_nets_dir");
  const auto config = Parse(absl::StrCat("control_nets: [{id: sketch, path: mine}]\ncontrol_nets_dir: ", dir, "\n"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(
      config->engine.control_nets,
      ElementsAre(AllOf(Field(&ControlNetSource::id, "sketch"), Field(&ControlNetSource::path, "/etc/stepcast/mine")),
                  AllOf(Field(&ControlNetSource::id, "canny"), Field(&ControlNetSource::path, dir + "/Canny"))));
  EXPECT_THAT(config->notes,
              ElementsAre(AllOf(HasSubstr("canny.safetensors"), HasSubstr("called canny already")),
                          AllOf(HasSubstr("\"empty\""), HasSubstr("no config.json")),
                          AllOf(HasSubstr("notes.txt"), HasSubstr("no .safetensors file")),
                          AllOf(HasSubstr("\"whole\""), HasSubstr("a whole model")),
                          AllOf(HasSubstr("sketch.safetensors"), HasSubstr("names a net called sketch"))));
}

TEST(ControlConfigTest, TheFlagReplacesTheFilesNets) {
  ConfigOverrides overrides;
  overrides.control_nets_dir = NetsDir("control_nets_flag");
  const auto config = Parse("control_nets: [{id: other, path: mine}]", overrides);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->engine.control_nets,
              ElementsAre(Field(&ControlNetSource::id, "canny"), Field(&ControlNetSource::id, "sketch")));
  overrides.control_nets_dir = "/no/such/folder";
  EXPECT_THAT(std::string(Parse("", overrides).status().message()), HasSubstr("--control_nets_dir: "));
}

}  // namespace
}  // namespace stepcast

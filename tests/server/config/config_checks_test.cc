#include "server/config/config_checks.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

ServerConfig OneModel() {
  ServerConfig config;
  config.engine.models = {{"emoji", "/models/emoji"}};
  return config;
}

// A folder with the given model folders in it.
std::string ModelsDir(const std::string& name, const std::vector<std::string>& folders) {
  const std::filesystem::path dir = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir / "not_a_model");
  for (const std::string& folder : folders) {
    std::filesystem::create_directories(dir / folder);
    std::ofstream(dir / folder / "model_index.json") << "{}";
  }
  return dir.string();
}

TEST(ConfigChecksTest, DevicesAndDtypes) {
  for (const char* device : {"auto", "cpu", "cuda", "cuda:0", "cuda:15"}) EXPECT_TRUE(IsDevice(device)) << device;
  for (const char* device : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1000", "CPU"}) {
    EXPECT_FALSE(IsDevice(device)) << device;
  }
  for (const char* dtype : {"auto", "fp32", "bf16", "fp16"}) EXPECT_TRUE(IsDtype(dtype)) << dtype;
  for (const char* dtype : {"", "float32", "int8"}) EXPECT_FALSE(IsDtype(dtype)) << dtype;
}

TEST(ConfigChecksTest, MetadataKeysAreTextOfTheCaller) {
  for (const char* key : {"x-stepcast-tenant", "tenant", "a.b_c-9"}) EXPECT_TRUE(IsMetadataKey(key)) << key;
  for (const char* key : {"", "Tenant", "grpc-tenant", "tenant-bin", "a b", ":path", "authorization"}) {
    EXPECT_FALSE(IsMetadataKey(key)) << key;
  }
  EXPECT_FALSE(IsMetadataKey(std::string(65, 'x')));
}

TEST(ConfigChecksTest, ThePictureBudgetHoldsOneAtWorkAndOneRequest) {
  ServerConfig config = OneModel();
  EXPECT_TRUE(CheckServerConfig(config, "a.yaml").ok());
  const int64_t least = 10 * config.limits.input_pictures.max_pixels + config.limits.max_request_bytes;
  config.limits.input_pictures.budget_bytes = least;
  EXPECT_TRUE(CheckServerConfig(config, "a.yaml").ok());
  config.limits.input_pictures.budget_bytes = least - 1;
  EXPECT_THAT(
      std::string(CheckServerConfig(config, "a.yaml").message()),
      HasSubstr("a.yaml: limits.input_pictures.budget_bytes: got 185165823; allowed: at least 185165824, 10 x"));
}

TEST(ConfigChecksTest, OverridesWin) {
  ServerConfig config = OneModel();
  ConfigOverrides overrides;
  overrides.host = "0.0.0.0";
  overrides.port = 0;
  overrides.admin_port = -1;
  overrides.metrics_port = 1;
  overrides.models_dir = ModelsDir("override", {"b", "a"});
  overrides.default_model = "b";
  overrides.device = "cpu";
  overrides.dtype = "bf16";
  overrides.threads = 2;
  overrides.policy = "serial";
  overrides.profile_budget = absl::Seconds(3);
  overrides.port_file = "ports.json";
  ASSERT_TRUE(ApplyOverrides(overrides, config).ok());
  EXPECT_EQ(config.listen.host, "0.0.0.0");
  EXPECT_EQ(config.listen.port, 0);
  EXPECT_EQ(config.listen.admin_port, std::nullopt);
  EXPECT_EQ(config.listen.metrics_port, 1);
  ASSERT_EQ(config.engine.models.size(), 2u);
  EXPECT_EQ(config.engine.models[0].id, "a");
  EXPECT_EQ(config.engine.models[1].path, *overrides.models_dir + "/b");
  EXPECT_EQ(config.default_model, "b");
  EXPECT_EQ(config.engine.device, "cpu");
  EXPECT_EQ(config.engine.dtype, "bf16");
  EXPECT_EQ(config.engine.threads, 2);
  EXPECT_EQ(config.scheduler.policy.name, "serial");
  EXPECT_EQ(config.scheduler.profile.budget, absl::Seconds(3));
  EXPECT_EQ(config.port_file, "ports.json");
}

TEST(ConfigChecksTest, NoOverridesChangeNothing) {
  ServerConfig config = OneModel();
  ASSERT_TRUE(ApplyOverrides({}, config).ok());
  EXPECT_EQ(config.listen.port, 50051);
  EXPECT_EQ(config.listen.admin_port, 50052);
  EXPECT_EQ(config.listen.metrics_port, 9464);
  EXPECT_EQ(config.engine.models.size(), 1u);
}

TEST(ConfigChecksTest, WrongFlagsAreAllNamed) {
  ServerConfig config = OneModel();
  ConfigOverrides overrides;
  overrides.port = -1;
  overrides.admin_port = 65536;
  overrides.metrics_port = -2;
  overrides.device = "gpu";
  overrides.dtype = "int8";
  overrides.threads = -1;
  overrides.profile_budget = absl::Hours(1);
  EXPECT_EQ(ApplyOverrides(overrides, config).message(),
            "--port: got -1; allowed: 0..65535, 0 for any free one\n"
            "--admin_port: got 65536; allowed: 0..65535, 0 for any free one, -1 for none\n"
            "--metrics_port: got -2; allowed: 0..65535, 0 for any free one, -1 for none\n"
            "--device: got \"gpu\"; allowed: auto, cpu, cuda, cuda:N\n"
            "--dtype: got \"int8\"; allowed: auto, fp32, bf16, fp16\n"
            "--threads: got -1; allowed: 0..1024\n"
            "--profile_budget: got 1h; allowed: 0..10m");
}

TEST(ConfigChecksTest, UnknownPolicyAndFolder) {
  ServerConfig config = OneModel();
  ConfigOverrides overrides;
  overrides.policy = "magic";
  overrides.models_dir = testing::TempDir() + "/no_such_folder";
  const std::string message(ApplyOverrides(overrides, config).message());
  EXPECT_THAT(message, HasSubstr("--policy: "));
  EXPECT_THAT(message, HasSubstr("--models_dir: "));
  EXPECT_THAT(message, HasSubstr("is no folder that can be read"));
}

TEST(ConfigChecksTest, TheWholeMustFit) {
  EXPECT_TRUE(CheckServerConfig(OneModel(), "a.yaml").ok());

  ServerConfig none;
  EXPECT_EQ(CheckServerConfig(none, "a.yaml").message(),
            "a.yaml: no model is named; name one in `models` or give --models_dir");

  ServerConfig stranger = OneModel();
  stranger.default_model = "sdxl";
  EXPECT_EQ(CheckServerConfig(stranger, "a.yaml").message(), "a.yaml: default_model: got \"sdxl\"; allowed: emoji");

  ServerConfig clash = OneModel();
  clash.listen.port = 9464;
  clash.listen.admin_port = 9464;
  EXPECT_EQ(CheckServerConfig(clash, "a.yaml").message(),
            "a.yaml: listen.port and listen.admin_port are both 9464\n"
            "a.yaml: listen.port and listen.metrics_port are both 9464\n"
            "a.yaml: listen.admin_port and listen.metrics_port are both 9464");

  ServerConfig apart = clash;
  apart.listen.admin_host = "10.0.0.1";
  apart.listen.allow_plaintext = true;
  apart.listen.metrics_port = std::nullopt;
  EXPECT_TRUE(CheckServerConfig(apart, "a.yaml").ok());

  ServerConfig free_ports = OneModel();
  free_ports.listen.port = 0;
  free_ports.listen.admin_port = 0;
  free_ports.listen.metrics_port = 0;
  EXPECT_TRUE(CheckServerConfig(free_ports, "a.yaml").ok());
}

TEST(ConfigChecksTest, HostsAreCheckedWhereSomethingListens) {
  ServerConfig config = OneModel();
  EXPECT_TRUE(CheckAgainstMachine(config, "a.yaml").ok());
  config.listen.host = "";
  config.listen.admin_host = "unix:run/admin";
  config.listen.metrics_host = "::1";
  const std::string message(CheckAgainstMachine(config, "a.yaml").message());
  EXPECT_THAT(message, HasSubstr("a.yaml: listen.host: got nothing"));
  EXPECT_THAT(message, HasSubstr("\na.yaml: listen.admin_host: got \"unix:run/admin\": a Unix socket is"));
  EXPECT_THAT(message, HasSubstr("\na.yaml: listen.metrics_host: got \"::1\": this is an IPv6 address"));
  config.listen.host = "::1";
  config.listen.admin_port = std::nullopt;
  config.listen.metrics_port = std::nullopt;
  EXPECT_TRUE(CheckAgainstMachine(config, "a.yaml").ok());
}

TEST(ConfigChecksTest, FilesOfAllLoopsMustDiffer) {
  const std::string dir = testing::TempDir();
  ServerConfig config = OneModel();
  config.record_file = dir + "stepcast_checks";
  config.port_file = dir + "stepcast_checks.1.old";
  config.scheduler.profile.cache_file = dir + "stepcast_checks.2";
  EXPECT_TRUE(CheckAgainstMachine(config, "a.yaml").ok());
  config.engine.replicas = 2;
  EXPECT_THAT(std::string(CheckAgainstMachine(config, "a.yaml").message()), HasSubstr("a.yaml: record_file: got "));
  config.port_file.clear();
  EXPECT_TRUE(CheckAgainstMachine(config, "a.yaml").ok());
  config.engine.replicas = 3;
  EXPECT_THAT(std::string(CheckAgainstMachine(config, "a.yaml").message()),
              HasSubstr("a.yaml: scheduler.profile.cache_file: got "));
}

TEST(FindModelsTest, ListsModelFoldersByName) {
  const auto found = FindModels(ModelsDir("find", {"zebra", "emoji", "sd-1.5"}));
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->models.size(), 3u);
  EXPECT_EQ(found->models[0].id, "emoji");
  EXPECT_EQ(found->models[1].id, "sd-1.5");
  EXPECT_EQ(found->models[2].id, "zebra");
  EXPECT_THAT(found->skipped, testing::ElementsAre(AllOf(HasSubstr("not_a_model"), HasSubstr("no model_index.json"))));
}

// A folder of files as people keep them.
std::string FilesDir(const std::string& name, const std::vector<std::string>& files) {
  const std::string dir = ModelsDir(name, {});
  for (const std::string& file : files) std::ofstream(dir + "/" + file) << "x";
  return dir;
}

TEST(FindModelsTest, ListsFilesByTheirNamesInLowerCase) {
  const std::string dir =
      FilesDir("files", {"ponyDiffusionV6XL_v6.safetensors", "My Mix (final).SAFETENSORS", "readme.md",
                         "My Mix (final).json", "_x.safetensors", "モデル.safetensors"});
  const auto found = FindModels(dir);
  ASSERT_TRUE(found.ok()) << found.status();
  std::vector<std::string> ids;
  for (const ModelSource& model : found->models) ids.push_back(model.id);
  EXPECT_THAT(ids, testing::ElementsAre("model", "my-mix-final", "ponydiffusionv6xl_v6", "x"));
  EXPECT_EQ(found->models[2].path, dir + "/ponyDiffusionV6XL_v6.safetensors");
  EXPECT_EQ(found->skipped.size(), 1u) << "a README and a card are no models and nobody thinks so";
}

TEST(FindModelsTest, WhatIsNoModelIsPassedOverWithOneLineEach) {
  const std::string dir = FilesDir("others", {"a.safetensors", "A.safetensors", "b.ckpt", "c.GGUF", "d.pt"});
  std::filesystem::create_directories(dir + "/models--stabilityai--sd/snapshots");
  std::filesystem::create_symlink("/nowhere/e.safetensors", dir + "/e.safetensors");
  // Whoever opened it would wait for a writer.
  ASSERT_EQ(mkfifo((dir + "/p.safetensors").c_str(), 0600), 0);
  const auto found = FindModels(dir);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->models.size(), 1u);
  EXPECT_THAT(found->skipped,
              testing::ElementsAre(
                  AllOf(HasSubstr("a.safetensors"), HasSubstr("another model is called a already")),
                  AllOf(HasSubstr("b.ckpt"), HasSubstr("pickle")),
                  AllOf(HasSubstr("c.GGUF"), HasSubstr("none is read")), AllOf(HasSubstr("d.pt"), HasSubstr("pickle")),
                  AllOf(HasSubstr("e.safetensors"), HasSubstr("/nowhere/e.safetensors, which is not there")),
                  AllOf(HasSubstr("models--stabilityai--sd"), HasSubstr("snapshots/")), HasSubstr("not_a_model"),
                  AllOf(HasSubstr("p.safetensors"), HasSubstr("no regular file"))));
}

TEST(FindModelsTest, AnIdIsMadeOfWhatAnIdMayHold) {
  const std::pair<const char*, const char*> kNames[] = {{"/m/SDXL 1.0.safetensors", "sdxl-1.0"},
                                                        {"/m/sd15/", "sd15"},
                                                        {"/m/v1.5-pruned", "v1.5-pruned"},
                                                        {"--a__b--.safetensors", "a__b"},
                                                        {"日本.safetensors", "model"}};
  for (const auto& [path, id] : kNames) EXPECT_EQ(ModelIdOf(path), id) << path;
}

TEST(FindModelsTest, RefusesWhatIsNoModel) {
  EXPECT_EQ(FindModels(ModelsDir("none", {})).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindModels(testing::TempDir() + "/no_such_folder").status().code(), absl::StatusCode::kNotFound);
  const absl::Status odd = FindModels(ModelsDir("odd", {"My Model", "Ünicode"})).status();
  EXPECT_EQ(odd.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(odd.message()), HasSubstr("the model folder \"My Model\" in "));
  EXPECT_THAT(std::string(odd.message()), HasSubstr("Ünicode"));
}

TEST(FindModelsTest, FoldersWithOddNamesDoNotStopTheOthers) {
  const std::string dir = ModelsDir("mixed", {"My Model", "emoji", ".hidden", "UPPER", std::string(64, 'x')});
  ServerConfig config = OneModel();
  ConfigOverrides overrides;
  overrides.models_dir = dir;
  ASSERT_TRUE(ApplyOverrides(overrides, config).ok());
  ASSERT_EQ(config.engine.models.size(), 1u);
  EXPECT_EQ(config.engine.models[0].id, "emoji");
  ASSERT_EQ(config.notes.size(), 5u) << "one line each";
  EXPECT_THAT(config.notes, testing::Contains(HasSubstr("\".hidden\"")));
  EXPECT_THAT(config.notes, testing::Contains(HasSubstr("is left out: its name cannot be an id; rename it")));
}

TEST(ConfigChecksTest, PlaintextStaysOnThisMachineUnlessTold) {
  ServerConfig config = OneModel();
  const auto mistakes = [&config] { return std::string(CheckServerConfig(config, "a.yaml").message()); };
  config.listen.host = "0.0.0.0";
  config.listen.admin_host = "10.0.0.1";
  EXPECT_THAT(mistakes(),
              testing::AllOf(HasSubstr("a.yaml: listen.host: got \"0.0.0.0\" without TLS; allowed: 127.0.0.1"),
                             HasSubstr("\na.yaml: listen.admin_host: got \"10.0.0.1\" without TLS")));
  config.listen.admin_port.reset();
  config.tls = {.cert_file = "cert", .key_file = "key"};
  EXPECT_EQ(mistakes(), "") << "who is off reaches nobody, and TLS may go anywhere";
  config.listen.admin_port = 1;
  EXPECT_THAT(mistakes(), HasSubstr("listen.admin_host")) << "the admin port speaks TLS only if told";
  config.admin.tls = true;
  EXPECT_EQ(mistakes(), "");
  config.tls = {};
  EXPECT_THAT(mistakes(), HasSubstr("admin.tls: got true; allowed: false without tls.cert_file"));
  config.admin.tls = false;
  config.listen.allow_plaintext = true;
  EXPECT_EQ(mistakes(), "");
}

TEST(ConfigChecksTest, ChannelzKnowsNoTokens) {
  ServerConfig config = OneModel();
  config.admin.channelz = true;
  EXPECT_TRUE(CheckServerConfig(config, "a.yaml").ok());
  config.admin.token_file = "tokens";
  EXPECT_THAT(std::string(CheckServerConfig(config, "a.yaml").message()), HasSubstr("admin.channelz"));
}

TEST(ConfigChecksTest, TwoPortsOnOneSocketAreOneTooMany) {
  ServerConfig config = OneModel();
  config.listen.host = config.listen.admin_host = "unix:/run/x";
  EXPECT_THAT(std::string(CheckServerConfig(config, "a.yaml").message()),
              HasSubstr("two ports are both \"unix:/run/x\""));
}

}  // namespace
}  // namespace stepcast

#include "server/config/config.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace stepcast {
namespace {

using ::testing::HasSubstr;

constexpr char kModel[] = "models: [{id: emoji, path: emoji}]\n";

absl::StatusOr<ServerConfig> Parse(const std::string& text) {
  return ParseServerConfig(text, "/etc/stepcast/a.yaml", {});
}

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

void ExpectEqual(const ServerConfig& a, const ServerConfig& b) {
  EXPECT_EQ(a.default_model, b.default_model);
  EXPECT_EQ(a.engine.device, b.engine.device);
  EXPECT_EQ(a.engine.devices, b.engine.devices);
  EXPECT_EQ(a.engine.replicas, b.engine.replicas);
  EXPECT_EQ(a.engine.strict_rows, b.engine.strict_rows);
  EXPECT_EQ(a.engine.max_resident_jobs, b.engine.max_resident_jobs);
  EXPECT_EQ(a.engine.dtype, b.engine.dtype);
  EXPECT_EQ(a.engine.threads, b.engine.threads);
  EXPECT_EQ(a.engine.max_rows, b.engine.max_rows);
  EXPECT_EQ(a.engine.embedding_cache_entries, b.engine.embedding_cache_entries);
  EXPECT_EQ(a.engine.warm_up, b.engine.warm_up);
  EXPECT_EQ(a.engine.control_nets_budget, b.engine.control_nets_budget);
  EXPECT_EQ(a.scheduler.policy.name, b.scheduler.policy.name);
  EXPECT_EQ(a.scheduler.policy.max_queue_delay, b.scheduler.policy.max_queue_delay);
  EXPECT_EQ(a.scheduler.heartbeat, b.scheduler.heartbeat);
  EXPECT_EQ(a.scheduler.admission.max_queued_jobs, b.scheduler.admission.max_queued_jobs);
  EXPECT_EQ(a.scheduler.admission.max_queued_work, b.scheduler.admission.max_queued_work);
  EXPECT_EQ(a.scheduler.profile.budget, b.scheduler.profile.budget);
  EXPECT_EQ(a.scheduler.profile.cache_file, b.scheduler.profile.cache_file);
  EXPECT_EQ(a.listen.host, b.listen.host);
  EXPECT_EQ(a.listen.port, b.listen.port);
  EXPECT_EQ(a.listen.admin_host, b.listen.admin_host);
  EXPECT_EQ(a.listen.admin_port, b.listen.admin_port);
  EXPECT_EQ(a.listen.metrics_host, b.listen.metrics_host);
  EXPECT_EQ(a.listen.metrics_port, b.listen.metrics_port);
  EXPECT_EQ(a.listen.allow_plaintext, b.listen.allow_plaintext);
  EXPECT_EQ(a.listen.socket_mode, b.listen.socket_mode);
  EXPECT_EQ(a.auth.token_file, b.auth.token_file);
  EXPECT_EQ(a.admin.token_file, b.admin.token_file);
  EXPECT_EQ(a.admin.tls, b.admin.tls);
  EXPECT_EQ(a.admin.channelz, b.admin.channelz);
  EXPECT_EQ(a.tls.cert_file, b.tls.cert_file);
  EXPECT_EQ(a.tls.key_file, b.tls.key_file);
  EXPECT_EQ(a.tls.client_ca_file, b.tls.client_ca_file);
  EXPECT_EQ(a.tls.client_auth, b.tls.client_auth);
  EXPECT_EQ(a.limits.max_prompt_bytes, b.limits.max_prompt_bytes);
  EXPECT_EQ(a.limits.max_prompt_chunks, b.limits.max_prompt_chunks);
  EXPECT_EQ(a.embeddings_dir, b.embeddings_dir);
  EXPECT_EQ(a.loras_budget, b.loras_budget);
  EXPECT_EQ(a.limits.max_steps, b.limits.max_steps);
  EXPECT_EQ(a.limits.max_image_count, b.limits.max_image_count);
  EXPECT_EQ(a.limits.max_side, b.limits.max_side);
  EXPECT_EQ(a.limits.max_area, b.limits.max_area);
  EXPECT_EQ(a.limits.max_previews_per_image, b.limits.max_previews_per_image);
  EXPECT_EQ(a.limits.max_preview_side, b.limits.max_preview_side);
  EXPECT_EQ(a.limits.max_megapixel_steps, b.limits.max_megapixel_steps);
  EXPECT_EQ(a.limits.max_request_bytes, b.limits.max_request_bytes);
  EXPECT_EQ(a.limits.max_unary_response_bytes, b.limits.max_unary_response_bytes);
  EXPECT_EQ(a.limits.image_chunk_bytes, b.limits.image_chunk_bytes);
  EXPECT_EQ(a.limits.input_pictures.max_bytes, b.limits.input_pictures.max_bytes);
  EXPECT_EQ(a.limits.input_pictures.max_pixels, b.limits.input_pictures.max_pixels);
  EXPECT_EQ(a.limits.input_pictures.max_side, b.limits.input_pictures.max_side);
  EXPECT_EQ(a.limits.input_pictures.max_control, b.limits.input_pictures.max_control);
  EXPECT_EQ(a.limits.input_pictures.budget_bytes, b.limits.input_pictures.budget_bytes);
  EXPECT_EQ(a.default_deadline, b.default_deadline);
  EXPECT_EQ(a.drain.linger, b.drain.linger);
  EXPECT_EQ(a.drain.timeout, b.drain.timeout);
  EXPECT_EQ(a.health.stall_timeout, b.health.stall_timeout);
  EXPECT_EQ(a.tenants.metadata_key, b.tenants.metadata_key);
  EXPECT_EQ(a.tenants.max, b.tenants.max);
  EXPECT_TRUE(a.tenants.defaults == b.tenants.defaults);
  EXPECT_TRUE(a.tenants.named == b.tenants.named);
  EXPECT_EQ(a.codec.threads, b.codec.threads);
  EXPECT_EQ(a.codec.max_queued, b.codec.max_queued);
  EXPECT_EQ(a.log.level, b.log.level);
  EXPECT_EQ(a.log.format, b.log.format);
  EXPECT_EQ(a.engine.memory_budget, b.engine.memory_budget);
  EXPECT_EQ(a.max_waiting_for_models, b.max_waiting_for_models);
  EXPECT_EQ(a.reflection, b.reflection);
  EXPECT_EQ(a.port_file, b.port_file);
  EXPECT_EQ(a.record_file, b.record_file);
}

// Every key, none with its default.
constexpr char kEverything[] = R"(
models:
  - {id: emoji, path: ../models/emoji}
  - id: sd15
    path: /data/sd15
default_model: sd15
device: cuda:1
dtype: bf16
threads: 3
devices: ["cuda:0", cuda:1]
max_rows: 32
strict_rows: 8
max_resident_jobs: 40
embedding_cache_entries: 0
warm_up: false
memory_budget: 12GiB
max_waiting_for_models: 5
scheduler:
  policy: request_level
  max_queue_delay: 50ms
  heartbeat: 1s
  max_queued_jobs: 7
  max_queued_work: 90s
  profile: {budget: 0, cache_file: run/costs}
listen: {host: 0.0.0.0, port: 0, admin_host: "::1", admin_port: 1, metrics_host: 10.0.0.1, metrics_port: off,
         allow_plaintext: true, socket_mode: 0600}
auth: {token_file: tokens.yaml}
admin: {token_file: /admin.yaml, tls: true}
tls: {cert_file: c.pem, key_file: k.pem, client_ca_file: ca.pem, client_auth: optional}
limits:
  max_prompt_bytes: 100
  max_steps: 200
  max_image_count: 16
  max_side: 1024
  max_area: 65536
  max_previews_per_image: 0
  max_preview_side: 64
  max_megapixel_steps: 12.5
  max_request_bytes: 1048576
  max_unary_response_bytes: 65536
  image_chunk_bytes: 1024
  input_pictures: {max_bytes: 2048, max_pixels: 4096, max_side: 99, max_control: 8, budget_bytes: 16777216}
default_deadline: 2m
drain: {linger: 5s, timeout: 10m}
health: {stall_timeout: 5m}
tenants:
  metadata_key: x-team
  max: 3
  default: {max_pictures: 4, max_queued: 10, max_queued_work: 2m, models: [sd15], max_rows: 4, max_upload_bytes: 9,
            requests_per_second: 0.5, request_burst: 2, row_seconds_per_second: 1.5, row_seconds_burst: 3}
  named:
    - {name: acme, weight: 3}
    - {name: batch@example.com, weight: 0.5, max_pictures: 1, max_queued: 0, max_queued_work: none}
codec: {threads: 4, max_queued: 9}
log: {level: warning, format: json}
reflection: false
port_file: run/ports.json
record_file: run/schedule
)";

TEST(ConfigTest, ReadsEveryKey) {
  const auto parsed = Parse(kEverything);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->engine.models.size(), 2u);
  EXPECT_EQ(parsed->engine.models[0].id, "emoji");
  EXPECT_EQ(parsed->engine.models[0].path, "/etc/models/emoji");
  EXPECT_EQ(parsed->engine.models[1].path, "/data/sd15");
  ServerConfig expected;
  expected.default_model = "sd15";
  expected.engine.device = "cuda:1";
  expected.engine.dtype = "bf16";
  expected.engine.threads = 3;
  expected.engine.devices = {"cuda:0", "cuda:1"};
  expected.engine.max_rows = 32;
  expected.engine.strict_rows = 8;
  expected.engine.max_resident_jobs = 40;
  expected.engine.embedding_cache_entries = 0;
  expected.engine.warm_up = false;
  expected.engine.memory_budget = int64_t{12} << 30;
  expected.max_waiting_for_models = 5;
  expected.scheduler.policy = {"request_level", absl::Milliseconds(50)};
  expected.scheduler.heartbeat = absl::Seconds(1);
  expected.scheduler.admission.max_queued_jobs = 7;
  expected.scheduler.admission.max_queued_work = absl::Seconds(90);
  expected.scheduler.profile.budget = absl::ZeroDuration();
  expected.scheduler.profile.cache_file = "/etc/stepcast/run/costs";
  expected.listen = {"0.0.0.0", 0, "::1", 1, "10.0.0.1", std::nullopt, true, 0600};
  expected.auth.token_file = "/etc/stepcast/tokens.yaml";
  expected.admin = {.token_file = "/admin.yaml", .tls = true};
  expected.tls = {"/etc/stepcast/c.pem", "/etc/stepcast/k.pem", "/etc/stepcast/ca.pem", ClientAuth::kOptional};
  expected.limits = {100, 200, 16, 1024, 65536, 0, 64, 12.5, 1 << 20, 65536, 1024, {2048, 4096, 99, 8, 16 << 20}};
  expected.default_deadline = absl::Minutes(2);
  expected.drain = {absl::Seconds(5), absl::Minutes(10)};
  expected.health.stall_timeout = absl::Minutes(5);
  expected.tenants.metadata_key = "x-team";
  expected.tenants.max = 3;
  expected.tenants.defaults = {.max_pictures = 4,
                               .max_queued = 10,
                               .max_queued_work = absl::Minutes(2),
                               .models = {{"sd15"}},
                               .max_rows = 4,
                               .max_upload_bytes = 9,
                               .requests_per_second = 0.5,
                               .request_burst = 2,
                               .row_seconds_per_second = 1.5,
                               .row_seconds_burst = 3};
  expected.tenants.named["acme"] = expected.tenants.defaults;
  expected.tenants.named["acme"].weight = 3;
  TenantConfig& batch = expected.tenants.named["batch@example.com"] = expected.tenants.defaults;
  batch.weight = 0.5;
  batch.max_pictures = 1;
  batch.max_queued = 0;
  batch.max_queued_work = absl::InfiniteDuration();
  expected.codec = {4, 9};
  expected.log = {LogLevel::kWarning, LogFormat::kJson};
  expected.reflection = false;
  expected.port_file = "/etc/stepcast/run/ports.json";
  expected.record_file = "/etc/stepcast/run/schedule";
  ExpectEqual(*parsed, expected);
}

TEST(ConfigTest, ReplicasInsteadOfDevices) {
  const auto parsed = Parse(std::string(kModel) + "replicas: 2\nmax_resident_jobs: 1\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->engine.replicas, 2);
  EXPECT_EQ(parsed->engine.max_resident_jobs, 1);
}

TEST(ConfigTest, StrictRowsMayBeLeftToTheEngine) {
  const auto parsed = Parse(std::string(kModel) + "strict_rows: auto\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->engine.strict_rows, kAutoStrictRows);
}

TEST(ConfigTest, ModelsAreEnough) {
  const auto parsed = Parse(kModel);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ExpectEqual(*parsed, ServerConfig());
}

TEST(ConfigTest, ExampleEqualsTheDefaultsAndNamesEveryKey) {
  const std::string path = std::string(STEPCAST_SOURCE_DIR) + "/deploy/config.example.yaml";
  const auto parsed = LoadServerConfig(path, {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ExpectEqual(*parsed, ServerConfig());
  ASSERT_EQ(parsed->engine.models.size(), 2u);
  EXPECT_EQ(parsed->engine.models[0].path, std::string(STEPCAST_SOURCE_DIR) + "/models/emoji");
  EXPECT_EQ(parsed->engine.models[1].path, std::string(STEPCAST_SOURCE_DIR) + "/models/digits");
  ASSERT_EQ(parsed->engine.control_nets.size(), 1u);
  EXPECT_EQ(parsed->engine.control_nets[0].path, std::string(STEPCAST_SOURCE_DIR) + "/models/emoji-sketch");

  std::ifstream file(path);
  const std::string example((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const char* key : {"models",
                          "id",
                          "path",
                          "control_nets",
                          "control_nets_dir",
                          "control_nets_budget",
                          "default_model",
                          "device",
                          "dtype",
                          "threads",
                          "devices",
                          "replicas",
                          "max_rows",
                          "strict_rows",
                          "max_resident_jobs",
                          "embedding_cache_entries",
                          "warm_up",
                          "scheduler",
                          "policy",
                          "max_queue_delay",
                          "heartbeat",
                          "max_queued_jobs",
                          "profile",
                          "budget",
                          "cache_file",
                          "listen",
                          "host",
                          "port",
                          "admin_host",
                          "admin_port",
                          "metrics_host",
                          "metrics_port",
                          "limits",
                          "max_prompt_bytes",
                          "max_prompt_chunks",
                          "max_loras",
                          "embeddings_dir",
                          "loras_dir",
                          "loras_budget",
                          "max_steps",
                          "max_image_count",
                          "max_side",
                          "max_area",
                          "max_previews_per_image",
                          "max_preview_side",
                          "max_megapixel_steps",
                          "max_request_bytes",
                          "max_unary_response_bytes",
                          "image_chunk_bytes",
                          "input_pictures",
                          "max_bytes",
                          "max_pixels",
                          "max_control",
                          "budget_bytes",
                          "default_deadline",
                          "drain",
                          "linger",
                          "timeout",
                          "health",
                          "stall_timeout",
                          "tenants",
                          "metadata_key",
                          "max",
                          "default",
                          "max_pictures",
                          "max_queued_work",
                          "named",
                          "codec",
                          "max_queued",
                          "log",
                          "level",
                          "format",
                          "reflection",
                          "port_file",
                          "record_file"}) {
    EXPECT_THAT(example, testing::ContainsRegex(absl::StrCat("\n[ -]*", key, ":"))) << key;
  }
}

TEST(ConfigTest, EachMistakeHasItsLine) {
  const struct {
    std::string text;
    std::string error;
  } rows[] = {
      {"model: emoji", "/etc/stepcast/a.yaml:1: unknown key \"model\"; did you mean models?"},
      {"models: emoji", "/etc/stepcast/a.yaml:1: models: allowed: a list of {id, path}"},
      {"models:\n  - id: Bad Id\n    path: x",
       "/etc/stepcast/a.yaml:2: models[0].id: got \"Bad Id\"; allowed: [a-z0-9][a-z0-9._-]{0,62}"},
      {"models:\n  - path: x", "/etc/stepcast/a.yaml:2: models[0].id: got \"\"; allowed: [a-z0-9][a-z0-9._-]{0,62}"},
      {"models:\n  - id: x",
       "/etc/stepcast/a.yaml:2: models[0].path: got nothing; allowed: a folder, or a .safetensors file"},
      {"models:\n  - {id: x, path: a}\n  - {id: x, path: b}",
       "/etc/stepcast/a.yaml:3: models[1].id: \"x\" is the id of another model already"},
      {"models:\n  - {id: x, path: a, step: 3}",
       "/etc/stepcast/a.yaml:2: unknown key models[0].\"step\"; known here: id, path"},
      {"models:\n  - {id: x, path: a, defaults: {step: 3}}",
       "/etc/stepcast/a.yaml:2: unknown key models[0].defaults.\"step\"; did you mean steps?"},
      {"models:\n  - {id: x, path: a, prediction_type: v}",
       "/etc/stepcast/a.yaml:2: models[0].prediction_type: got \"v\"; allowed: epsilon, v_prediction, sample"},
      {"models:\n  - {id: x, path: a, defaults: {sampler: ddim}}",
       "/etc/stepcast/a.yaml:2: models[0].defaults.sampler: got \"ddim\"; allowed: DDPM, DDIM"},
      {"models:\n  - {id: x, path: a, defaults: {timesteps: [a]}}",
       "/etc/stepcast/a.yaml:2: models[0].defaults.timesteps: allowed: a list of numbers"},
      {"models:\n  - {id: x, path: a, defaults: {guidance_scale: 31}}",
       "/etc/stepcast/a.yaml:2: models[0].defaults.guidance_scale: got \"31\"; allowed: "},
      {"models: [x]", "/etc/stepcast/a.yaml:1: models[0]: got \"x\"; allowed: a mapping of keys to values"},
      {"device: gpu", "/etc/stepcast/a.yaml:1: device: got \"gpu\"; allowed: auto, cpu, cuda, cuda:N"},
      {"device: \"cuda:\"", "/etc/stepcast/a.yaml:1: device: got \"cuda:\"; allowed: auto, cpu, cuda, cuda:N"},
      {"models:\n  - {id: a, path: x, dtype: int8}",
       "/etc/stepcast/a.yaml:2: models[0].dtype: got \"int8\"; allowed: auto, fp32, bf16, fp16"},
      {"models:\n  - {id: a, path: x, dtype: [fp16]}",
       "/etc/stepcast/a.yaml:2: models[0].dtype: got a list; allowed: auto, fp32, bf16, fp16"},
      {"models:\n  - {id: a, path: x, dtype: {vae: fp8}}",
       "/etc/stepcast/a.yaml:2: models[0].dtype.vae: got \"fp8\"; allowed: auto, fp32, bf16, fp16"},
      {"models:\n  - {id: a, path: x, dtype: {vea: fp32}}",
       "/etc/stepcast/a.yaml:2: unknown key models[0].dtype.\"vea\"; did you mean vae?"},
      {"dtype: int8", "/etc/stepcast/a.yaml:1: dtype: got \"int8\"; allowed: auto, fp32, bf16, fp16"},
      {"devices: cuda:0", "/etc/stepcast/a.yaml:1: devices: allowed: a list of at most 64 of cuda:N"},
      {"devices: [cpu]", "/etc/stepcast/a.yaml:1: devices: got \"cpu\"; allowed: cuda:N"},
      {"devices: [cuda]", "/etc/stepcast/a.yaml:1: devices: got \"cuda\"; allowed: cuda:N"},
      {"devices: [\"cuda:0\", \"cuda:0\"]", "/etc/stepcast/a.yaml:1: devices: \"cuda:0\" was given already"},
      {"replicas: 65", "/etc/stepcast/a.yaml:1: replicas: got \"65\"; allowed: a whole number in 1..64"},
      {"strict_rows: -1", "/etc/stepcast/a.yaml:1: strict_rows: got \"-1\"; allowed: a whole number in 0..1024"},
      {"strict_rows: Auto",
       "/etc/stepcast/a.yaml:1: strict_rows: got \"Auto\"; allowed: auto, or a whole number in 0..1024"},
      {"strict_rows: 1", "/etc/stepcast/a.yaml: strict_rows: got 1; allowed: 0, auto, or 2..max_rows (16)"},
      {"strict_rows: 17", "/etc/stepcast/a.yaml: strict_rows: got 17; allowed: 0, auto, or 2..max_rows (16)"},
      {"devices: [\"cuda:0\"]\nreplicas: 2",
       "/etc/stepcast/a.yaml: replicas are loops on the CPU and do not go with devices"},
      {"max_rows: 1", "/etc/stepcast/a.yaml:1: max_rows: got \"1\"; allowed: a whole number in 2..1024"},
      {"listen:\n  port: 65536",
       "/etc/stepcast/a.yaml:2: listen.port: got \"65536\"; allowed: a whole number in 0..65535"},
      {"listen:\n  port: off", "/etc/stepcast/a.yaml:2: listen.port: got \"off\"; allowed: a whole number in 0..65535"},
      {"limits:\n  max_image_count: 17",
       "/etc/stepcast/a.yaml:2: limits.max_image_count: got \"17\"; allowed: a whole number in 1..16"},
      {"limits: 5", "/etc/stepcast/a.yaml:1: limits: got \"5\"; allowed: a mapping of keys to values"},
      {"health:\n  stall_timeout: 500ms",
       "/etc/stepcast/a.yaml:2: health.stall_timeout: got \"500ms\"; allowed: a duration in 1s..24h, like 30s or "
       "1m30s"},
      {"tenants:\n  metadata_key: grpc-tenant",
       "/etc/stepcast/a.yaml:2: tenants.metadata_key: got \"grpc-tenant\"; allowed: [a-z0-9_.-]{1,64}, no grpc-..., no "
       "...-bin, not authorization, or nothing"},
      {"tenants:\n  metadata_key: X-Tenant", "/etc/stepcast/a.yaml:2: tenants.metadata_key: got \"X-Tenant\""},
      {"tenants:\n  metadata_key: tenant-bin", "/etc/stepcast/a.yaml:2: tenants.metadata_key: got \"tenant-bin\""},
      {"tenants:\n  named: [{name: a b}]",
       "/etc/stepcast/a.yaml:2: tenants.named[0].name: got \"a b\"; allowed: [A-Za-z0-9][A-Za-z0-9._@-]{0,63}"},
      {"tenants:\n  named: [{name: default}]",
       "/etc/stepcast/a.yaml:2: tenants.named[0].name: got \"default\"; allowed: [A-Za-z0-9][A-Za-z0-9._@-]{0,63}, but "
       "for \"default\", which is tenants.default"},
      {"tenants:\n  named:\n  - {name: a}\n  - {name: a}",
       "/etc/stepcast/a.yaml:4: tenants.named[1].name: \"a\" was given already"},
      {"tenants:\n  named: [{name: a, weight: 0}]",
       "/etc/stepcast/a.yaml:2: tenants.named[0].weight: got \"0\"; allowed: a number in 0.001..1000"},
      {"tenants:\n  default: {weight: 2}", "/etc/stepcast/a.yaml:2: unknown key tenants.default.\"weight\""},
      {"default_deadline: 0",
       "/etc/stepcast/a.yaml:1: default_deadline: got \"0\"; allowed: a duration in 1ms..24h, like 30s or 1m30s"},
      {"log:\n  level: trace",
       "/etc/stepcast/a.yaml:2: log.level: got \"trace\"; allowed: debug, info, warning, error"},
  };
  for (const auto& row : rows) {
    const bool has_models = row.text.rfind("model", 0) == 0;
    const absl::Status status = Parse(row.text + "\n" + (has_models ? "" : kModel)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.text;
    const std::string message(status.message());
    EXPECT_EQ(message.substr(0, row.error.size()), row.error) << row.text;
    EXPECT_EQ(message.find('\n'), row.text == "models: [x]" ? row.error.size() : std::string::npos) << message;
  }
}

TEST(ConfigTest, AModelEntryMaySayWhatItsPartsComputeIn) {
  const auto parsed = Parse(
      "models:\n  - {id: a, path: a, dtype: bf16}\n"
      "  - {id: b, path: b, dtype: {unet: fp16, vae: fp32, text_encoder_2: auto}}\n  - {id: c, path: c}\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::vector<ModelSource>& models = parsed->engine.models;
  EXPECT_EQ(models[0].card.dtype, DtypeWish{.whole = Dtype::kBf16});
  const DtypeWish parts{.parts = {{"unet", Dtype::kFp16}, {"vae", Dtype::kFp32}, {"text_encoder_2", Dtype::kAuto}}};
  EXPECT_EQ(models[1].card.dtype, parts);
  EXPECT_EQ(models[2].card.dtype, DtypeWish());
}

TEST(ConfigTest, AModelEntryMaySayWhenItIsInMemoryAndWhere) {
  const auto parsed = Parse(R"(
devices: ["cuda:0", "cuda:1"]
memory_budget: auto
models:
  - {id: a, path: a}
  - {id: b, path: b, load: on_demand, devices: ["cuda:1"]}
  - {id: c, path: c, load: pinned}
)");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->engine.memory_budget, kAutoMemoryBudget);
  EXPECT_EQ(parsed->engine.models[0].loading, ModelLoading::kEager);
  EXPECT_EQ(parsed->engine.models[1].loading, ModelLoading::kOnDemand);
  EXPECT_EQ(parsed->engine.models[1].devices, std::vector<std::string>{"cuda:1"});
  EXPECT_EQ(parsed->engine.models[2].loading, ModelLoading::kPinned);
}

TEST(ConfigTest, DevicesOfAModelMustBeThere) {
  const auto message = [](const std::string& text) { return std::string(Parse(text).status().message()); };
  EXPECT_THAT(message("device: cpu\nmodels: [{id: a, path: a, devices: [\"cuda:1\"]}]"),
              testing::HasSubstr("models[0].devices: got \"cuda:1\"; allowed: cpu"));
  EXPECT_THAT(message("device: cpu\nreplicas: 2\nmodels: [{id: a, path: a, devices: [\"cpu:2\"]}]"),
              testing::HasSubstr("allowed: cpu, cpu:0, cpu:1"));
  EXPECT_EQ(message("device: cpu\nreplicas: 2\nmodels: [{id: a, path: a, devices: [\"cpu:1\"]}]"), "");
  EXPECT_THAT(message("models: [{id: a, path: a, devices: [gpu]}]"),
              testing::HasSubstr("models[0].devices: got \"gpu\""));
  EXPECT_THAT(message("models: [{id: a, path: a, devices: []}]"),
              testing::HasSubstr("models[0].devices: allowed: a list"));
  EXPECT_THAT(message("models: [{id: a, path: a, devices: [cpu, cpu]}]"), testing::HasSubstr("was given already"));
  EXPECT_THAT(message("models: [{id: a, path: a, load: later}]"), testing::HasSubstr("models[0].load"));
  EXPECT_THAT(message("models: [{id: a, path: a}]\nmemory_budget: lots"),
              testing::HasSubstr("memory_budget: got \"lots\"; allowed: none, auto"));
  EXPECT_THAT(message("models: [{id: a, path: a}]\nmemory_budget: 1000"), testing::HasSubstr("from 1MiB on"));
}

TEST(ConfigTest, AModelEntryMaySayWhatACardSays) {
  const auto parsed = Parse(R"(
models:
  - id: noob
    path: checkpoints/noob.safetensors
    vae: vae.safetensors
    preview: taesdxl
    vae_tiling: on
    vae_tiling_pixels: 2000000
    display_name: Noob
    license: x
    prediction_type: v_prediction
    zero_terminal_snr: true
    defaults:
      sampler: LCM
      sigma_schedule: KARRAS
      timestep_spacing: TRAILING
      timesteps: [999, 749.5]
      guidance_scale: 1
      guidance_rescale: 0.7
      eta: 1
      clip_skip: 2
      negative_prompt: bad
      width: 832
      height: 1216
)");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const ModelSource& model = parsed->engine.models.at(0);
  EXPECT_EQ(model.path, "/etc/stepcast/checkpoints/noob.safetensors");
  EXPECT_EQ(model.card.vae, "/etc/stepcast/vae.safetensors");
  EXPECT_EQ(model.card.preview, "/etc/stepcast/taesdxl");
  EXPECT_EQ(model.card.vae_tiling, VaeTiling::kOn);
  EXPECT_EQ(model.card.vae_tiling_pixels, 2'000'000);
  EXPECT_EQ(model.card.display_name, "Noob");
  EXPECT_EQ(model.card.description, std::nullopt);
  EXPECT_EQ(model.card.prediction_type, PredictionType::kVPrediction);
  EXPECT_EQ(model.card.zero_terminal_snr, true);
  const CardDefaults& defaults = model.card.defaults;
  EXPECT_EQ(defaults.sampler, Sampler::kLcm);
  EXPECT_EQ(defaults.sigma_schedule, SigmaSchedule::kKarras);
  EXPECT_EQ(defaults.timestep_spacing, TimestepSpacing::kTrailing);
  EXPECT_THAT(defaults.timesteps, testing::ElementsAre(999, 749.5));
  EXPECT_EQ(defaults.steps, std::nullopt);
  EXPECT_EQ(defaults.guidance_scale, 1.0);
  EXPECT_EQ(defaults.guidance_rescale, 0.7);
  EXPECT_EQ(defaults.eta, 1.0);
  EXPECT_EQ(defaults.clip_skip, 2);
  EXPECT_EQ(defaults.negative_prompt, "bad");
  EXPECT_EQ(defaults.width, 832);
  EXPECT_EQ(defaults.height, 1216);
}

TEST(ConfigTest, AModelToValidateTakesThePlaceOfTheOthers) {
  const std::string dir = testing::TempDir() + "/stepcast_validate";
  std::filesystem::create_directories(dir + "/models/a");
  ConfigOverrides overrides;
  overrides.validate_model = dir + "/models/../models/a";
  const std::string text =
      "models: [{id: b, path: models/b}, {id: named, path: models/a, license: x}]\ndefault_model: b\n";
  const auto parsed = ParseServerConfig(text, dir + "/a.yaml", overrides);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->engine.models.size(), 1u);
  EXPECT_EQ(parsed->engine.models[0].id, "named");
  EXPECT_EQ(parsed->engine.models[0].card.license, "x");
  overrides.validate_model = "Some Model.safetensors";
  EXPECT_EQ(ParseServerConfig("", "flags", overrides)->engine.models[0].id, "some-model");
}

TEST(ConfigTest, ModelsAreCounted) {
  std::string text = "models:\n";
  for (int i = 0; i < 257; ++i) text += "- {id: m" + std::to_string(i) + ", path: x}\n";
  EXPECT_EQ(Parse(text).status().message(), "/etc/stepcast/a.yaml:1: models: got 257; allowed: at most 256");
}

TEST(ConfigTest, UnknownPoliciesListTheKnownOnes) {
  const absl::Status status = Parse(std::string(kModel) + "scheduler:\n  policy: magic\n").status();
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("/etc/stepcast/a.yaml:3: scheduler.policy"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("slo, fifo, request_level, serial"));
}

TEST(ConfigTest, FilesThatCannotBeRead) {
  const std::string missing = testing::TempDir() + "/no_such_file.yaml";
  EXPECT_EQ(LoadServerConfig(missing, {}).status(), absl::NotFoundError(missing + ": there is no such file"));
  EXPECT_EQ(LoadServerConfig(testing::TempDir(), {}).status(),
            absl::InvalidArgumentError(testing::TempDir() + ": this is a folder; allowed: a YAML file"));
  const std::string huge = WriteFile("huge.yaml", std::string((1 << 20) + 100, '#'));
  EXPECT_EQ(LoadServerConfig(huge, {}).status(),
            absl::InvalidArgumentError(huge + ": the file is larger than 1048576 bytes"));
}

TEST(ConfigTest, WithoutAFileTheFlagsMustNameModels) {
  EXPECT_EQ(
      LoadServerConfig("", {}).status(),
      absl::InvalidArgumentError("the command line: no model is named; name one in `models` or give --models_dir"));
}

TEST(ConfigTest, RelativePathsOfARelativeFile) {
  const auto parsed = ParseServerConfig(kModel, "conf/a.yaml", {});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->engine.models[0].path, "conf/emoji");
  EXPECT_EQ(ParseServerConfig(kModel, "a.yaml", {})->engine.models[0].path, "emoji");
}

}  // namespace
}  // namespace stepcast

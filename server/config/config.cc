#include "server/config/config.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "server/config/access_config.h"
#include "server/config/adapter_config.h"
#include "server/config/config_checks.h"
#include "server/config/config_environment.h"
#include "server/config/control_config.h"
#include "server/config/file_check.h"
#include "server/config/memory_budget.h"
#include "server/config/model_config.h"
#include "server/config/read_file.h"
#include "server/config/strict_yaml.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr int64_t kMib = 1 << 20;
constexpr size_t kMaxModels = 256;
constexpr size_t kMaxDevices = 64;

void ReadModels(YamlMapping& root, const std::string& path, YamlErrors& errors, ServerConfig& config) {
  const std::optional<YAML::Node> list = root.Child("models");
  if (!list.has_value()) return;
  if (!list->IsSequence()) {
    errors.Add(root.LineOf("models"), "models: allowed: a list of {id, path}");
    return;
  }
  if (list->size() > kMaxModels) {
    errors.Add(root.LineOf("models"), absl::StrCat("models: got ", list->size(), "; allowed: at most ", kMaxModels));
    return;
  }
  for (size_t i = 0; i < list->size() && !errors.full(); ++i) {
    const std::string place = absl::StrCat("models[", i, "]");
    YamlMapping entry((*list)[i], place, errors);
    config.engine.models.push_back(ReadModelEntry(entry, place, path, errors));
    for (const std::string& mistake : FindModelMistakes(config.engine.models)) errors.Add(entry.LineOf("id"), mistake);
  }
}

void ReadProfile(YamlMapping& scheduler, const std::string& path, YamlErrors& errors, ProfileOptions& profile) {
  const std::optional<YAML::Node> node = scheduler.Child("profile");
  if (!node.has_value()) return;
  YamlMapping section(*node, "scheduler.profile", errors);
  section.Duration("budget", absl::ZeroDuration(), kMaxProfileBudget, profile.budget);
  section.Text("cache_file", profile.cache_file);
  profile.cache_file = BesideConfig(path, profile.cache_file);
  section.Finish();
}

void ReadScheduler(YamlMapping& root, const std::string& path, YamlErrors& errors, ServerConfig& config) {
  const std::optional<YAML::Node> node = root.Child("scheduler");
  if (!node.has_value()) return;
  YamlMapping section(*node, "scheduler", errors);
  section.Text("policy", config.scheduler.policy.name);
  section.Duration("max_queue_delay", absl::ZeroDuration(), absl::Minutes(1), config.scheduler.policy.max_queue_delay);
  section.Duration("heartbeat", absl::Milliseconds(100), absl::Minutes(1), config.scheduler.heartbeat);
  section.Int("max_queued_jobs", 1, 100'000, config.scheduler.admission.max_queued_jobs);
  section.DurationOrNone("max_queued_work", absl::Seconds(1), absl::Hours(24),
                         config.scheduler.admission.max_queued_work);
  ReadProfile(section, path, errors, config.scheduler.profile);
  section.Finish();
  const absl::Status policy = MakePolicy(config.scheduler.policy).status();
  if (!policy.ok()) errors.Add(section.LineOf("policy"), std::string(policy.message()));
}

// Octal, as chmod takes it; YAML's own readers disagree about a leading zero.
void ReadFileMode(YamlMapping& section, const char* key, YamlErrors& errors, int& mode) {
  std::string text;
  section.Text(key, text);
  if (text.empty()) return;
  constexpr size_t kMostDigits = 4;
  const bool octal = text.size() <= kMostDigits && text.find_first_not_of("01234567") == std::string::npos;
  const int read = octal ? std::stoi(text, nullptr, 8) : -1;
  if (read >= 0 && read <= 0777) {
    mode = read;
  } else {
    errors.Add(section.LineOf(key),
               absl::StrCat("listen.", key, ": got ", Quoted(text), "; allowed: 0000..0777, octal"));
  }
}

void ReadListen(YamlMapping& root, YamlErrors& errors, ListenConfig& listen) {
  const std::optional<YAML::Node> node = root.Child("listen");
  if (!node.has_value()) return;
  YamlMapping section(*node, "listen", errors);
  section.Text("host", listen.host);
  section.Int("port", 0, 65535, listen.port);
  section.Text("admin_host", listen.admin_host);
  section.PortOrOff("admin_port", listen.admin_port);
  section.Text("metrics_host", listen.metrics_host);
  section.PortOrOff("metrics_port", listen.metrics_port);
  section.Bool("allow_plaintext", listen.allow_plaintext);
  ReadFileMode(section, "socket_mode", errors, listen.socket_mode);
  section.Finish();
}

void ReadInputPictures(YamlMapping& parent, YamlErrors& errors, InputPictureLimits& limits) {
  const std::optional<YAML::Node> node = parent.Child("input_pictures");
  if (!node.has_value()) return;
  YamlMapping section(*node, "limits.input_pictures", errors);
  section.Int("max_bytes", 1024, 64 * kMib, limits.max_bytes);
  section.Int("max_pixels", 64, 64 * kMib, limits.max_pixels);
  section.Int("max_side", 8, 16384, limits.max_side);
  section.Int("max_control", 0, 8, limits.max_control);
  section.Int("budget_bytes", 16 * kMib, int64_t{1} << 40, limits.budget_bytes);
  section.Finish();
}

void ReadLimits(YamlMapping& root, YamlErrors& errors, ServerConfig& config) {
  LimitsConfig& limits = config.limits;
  const std::optional<YAML::Node> node = root.Child("limits");
  if (!node.has_value()) return;
  YamlMapping section(*node, "limits", errors);
  section.Int("max_prompt_bytes", 1, 65536, limits.max_prompt_bytes);
  section.Int("max_prompt_chunks", 1, 16, limits.max_prompt_chunks);
  section.Int("max_loras", 0, 8, limits.max_loras);
  section.Int("max_steps", 1, 1000, limits.max_steps);
  section.Int("max_image_count", 1, 16, limits.max_image_count);
  section.Int("max_side", 8, 8192, limits.max_side);
  section.Int("max_area", 64, 64 * kMib, limits.max_area);
  section.Int("max_decode_bytes", 0, int64_t{1} << 40, config.engine.max_decode_bytes);
  section.Int("max_previews_per_image", 0, 1000, limits.max_previews_per_image);
  section.Int("max_preview_side", 1, 2048, limits.max_preview_side);
  section.Real("max_megapixel_steps", 0.0, 1e9, limits.max_megapixel_steps);
  section.Int("max_request_bytes", kMib, 64 * kMib, limits.max_request_bytes);
  section.Int("max_unary_response_bytes", 64 << 10, 1024 * kMib, limits.max_unary_response_bytes);
  section.Int("image_chunk_bytes", 1024, 64 * kMib, limits.image_chunk_bytes);
  ReadInputPictures(section, errors, limits.input_pictures);
  section.Finish();
}

void ReadDrain(YamlMapping& root, YamlErrors& errors, DrainConfig& drain) {
  const std::optional<YAML::Node> node = root.Child("drain");
  if (!node.has_value()) return;
  YamlMapping section(*node, "drain", errors);
  section.Duration("linger", absl::ZeroDuration(), absl::Minutes(10), drain.linger);
  section.Duration("timeout", absl::ZeroDuration(), absl::Hours(24), drain.timeout);
  section.Finish();
}

void ReadResume(YamlMapping& root, const std::string& path, YamlErrors& errors, ServerConfig& config) {
  const std::optional<YAML::Node> node = root.Child("resume");
  if (!node.has_value()) return;
  ResumeConfig& resume = config.resume;
  YamlMapping section(*node, "resume", errors);
  section.Text("key_file", resume.key_file);
  section.Duration("token_ttl", absl::Minutes(1), absl::Hours(720), resume.token_ttl);
  section.Int("max_token_bytes", 64 << 10, 8 * kMib, resume.max_token_bytes);
  section.Int("min_checkpoint_every", 1, 1000, resume.min_checkpoint_every);
  section.Finish();
  resume.key_file = BesideConfig(path, resume.key_file);
  if (resume.key_file.empty()) return;
  config.limits.resume = {.max_token_bytes = resume.max_token_bytes,
                          .min_checkpoint_every = resume.min_checkpoint_every};
  config.scheduler.hands_out = true;
}

void ReadHealth(YamlMapping& root, YamlErrors& errors, HealthConfig& health) {
  const std::optional<YAML::Node> node = root.Child("health");
  if (!node.has_value()) return;
  YamlMapping section(*node, "health", errors);
  section.Duration("stall_timeout", absl::Seconds(1), absl::Hours(24), health.stall_timeout);
  section.Finish();
}

void ReadCodec(YamlMapping& root, YamlErrors& errors, CodecConfig& codec) {
  const std::optional<YAML::Node> node = root.Child("codec");
  if (!node.has_value()) return;
  YamlMapping section(*node, "codec", errors);
  section.Int("threads", 0, 64, codec.threads);
  section.Int("max_queued", 1, 100'000, codec.max_queued);
  section.Finish();
}

void ReadLog(YamlMapping& root, YamlErrors& errors, LogConfig& log) {
  const std::optional<YAML::Node> node = root.Child("log");
  if (!node.has_value()) return;
  YamlMapping section(*node, "log", errors);
  section.Choice("level", {"debug", "info", "warning", "error"},
                 [&log](size_t index) { log.level = static_cast<LogLevel>(index); });
  section.Choice("format", {"auto", "text", "json"},
                 [&log](size_t index) { log.format = static_cast<LogFormat>(index); });
  section.Bool("prompts", log.prompts);
  section.Finish();
}

void ReadDevices(YamlMapping& root, YamlErrors& errors, std::vector<std::string>& devices) {
  const std::optional<YAML::Node> list = root.Child("devices");
  if (!list.has_value()) return;
  const int line = root.LineOf("devices");
  if (!list->IsSequence() || list->size() > kMaxDevices) {
    errors.Add(line, absl::StrCat("devices: allowed: a list of at most ", kMaxDevices, " of cuda:N"));
    return;
  }
  for (const YAML::Node& node : *list) {
    const std::string device = node.IsScalar() ? node.Scalar() : "";
    if (!IsDevice(device) || !absl::StartsWith(device, "cuda:")) {
      errors.Add(line, absl::StrCat("devices: got ", Quoted(device), "; allowed: cuda:N"));
    } else if (std::find(devices.begin(), devices.end(), device) != devices.end()) {
      errors.Add(line, absl::StrCat("devices: ", Quoted(device), " was given already"));
    }
    devices.push_back(device);
  }
}

void ReadStrictRows(YamlMapping& root, YamlErrors& errors, int& rows) {
  const std::optional<YAML::Node> node = root.Child("strict_rows");
  const std::string text = node.has_value() && node->IsScalar() ? node->Scalar() : "0";
  if (text == "auto") {
    rows = kAutoStrictRows;
  } else if (int64_t number = 0; absl::SimpleAtoi(text, &number)) {
    root.Int("strict_rows", 0, 1024, rows);
  } else {
    errors.Add(root.LineOf("strict_rows"),
               absl::StrCat("strict_rows: got ", Quoted(text), "; allowed: auto, or a whole number in 0..1024"));
  }
}

void ReadEngine(YamlMapping& root, YamlErrors& errors, EngineOptions& engine) {
  root.Text("device", engine.device);
  if (!IsDevice(engine.device)) {
    errors.Add(root.LineOf("device"), absl::StrCat("device: got ", Quoted(engine.device), "; allowed: ", kDevices));
  }
  root.Text("dtype", engine.dtype);
  if (!IsDtype(engine.dtype)) {
    errors.Add(root.LineOf("dtype"), absl::StrCat("dtype: got ", Quoted(engine.dtype), "; allowed: ", kDtypeNames));
  }
  root.Int("threads", 0, 1024, engine.threads);
  ReadDevices(root, errors, engine.devices);
  root.Int("replicas", 1, 64, engine.replicas);
  root.Int("max_rows", 2, 1024, engine.max_rows);
  ReadStrictRows(root, errors, engine.strict_rows);
  root.Int("max_resident_jobs", 0, 1'000'000, [&engine](int64_t jobs) {
    engine.max_resident_jobs = jobs == 0 ? std::numeric_limits<int>::max() : static_cast<int>(jobs);
  });
  root.Int("embedding_cache_entries", 0, 1'000'000, engine.embedding_cache_entries);
  root.Bool("warm_up", engine.warm_up);
  ReadMemoryBudget(root, "memory_budget", /*may_be_auto=*/true, errors, engine.memory_budget);
}

ServerConfig ReadRoot(const YAML::Node& node, const std::string& path, YamlErrors& errors) {
  ServerConfig config;
  YamlMapping root(node, "", errors);
  ReadModels(root, path, errors, config);
  ReadControlNets(root, path, errors, config.engine, config.notes);
  root.Text("default_model", config.default_model);
  ReadAdapters(root, path, errors, config);
  ReadEngine(root, errors, config.engine);
  root.Int("max_waiting_for_models", 0, 100'000, config.max_waiting_for_models);
  ReadScheduler(root, path, errors, config);
  ReadListen(root, errors, config.listen);
  ReadLimits(root, errors, config);
  root.DurationOrNone("default_deadline", absl::Milliseconds(1), absl::Hours(24), config.default_deadline);
  ReadDrain(root, errors, config.drain);
  ReadResume(root, path, errors, config);
  ReadHealth(root, errors, config.health);
  ReadTenants(root, errors, config.tenants);
  ReadAuth(root, path, errors, config.auth);
  ReadAdmin(root, path, errors, config.admin);
  ReadTls(root, path, errors, config.tls);
  ReadCodec(root, errors, config.codec);
  ReadLog(root, errors, config.log);
  root.Bool("reflection", config.reflection);
  root.Text("port_file", config.port_file);
  config.port_file = BesideConfig(path, config.port_file);
  root.Text("record_file", config.record_file);
  config.record_file = BesideConfig(path, config.record_file);
  root.Finish();
  return config;
}

}  // namespace

absl::StatusOr<ServerConfig> ParseServerConfig(const std::string& text, const std::string& path,
                                               const ConfigOverrides& overrides, const ConfigVariables& variables) {
  STEPCAST_ASSIGN_OR_RETURN(YAML::Node root, ParseYaml(text, path));
  YamlErrors errors(path);
  ApplyVariables(variables, root, errors);
  ServerConfig config = ReadRoot(root, path, errors);
  STEPCAST_RETURN_IF_ERROR(errors.ToStatus());
  STEPCAST_RETURN_IF_ERROR(ApplyOverrides(overrides, config));
  STEPCAST_RETURN_IF_ERROR(CheckServerConfig(config, path));
  return config;
}

absl::StatusOr<ServerConfig> LoadServerConfig(const std::string& path, const ConfigOverrides& overrides,
                                              const ConfigVariables& variables) {
  std::string text;
  if (!path.empty()) {
    STEPCAST_ASSIGN_OR_RETURN(text, ReadConfigFile(path));
  }
  const std::string name = path.empty() ? "the command line" : path;
  STEPCAST_ASSIGN_OR_RETURN(ServerConfig config, ParseServerConfig(text, name, overrides, variables));
  STEPCAST_RETURN_IF_ERROR(CheckAgainstMachine(config, name));
  if (!config.resume.key_file.empty()) STEPCAST_RETURN_IF_ERROR(ReadResumeKeys(config.resume.key_file).status());
  for (std::string* file : {&config.port_file, &config.record_file, &config.scheduler.profile.cache_file}) {
    if (!file->empty()) *file = ResolveLinks(*file);
  }
  return config;
}

}  // namespace stepcast

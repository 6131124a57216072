#pragma once
// The server's configuration: one YAML file, one struct. deploy/config.example.yaml shows every key with its default.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/start/engine_factory.h"
#include "scheduler/loop/engine_loop.h"
#include "server/config/identity_config.h"
#include "server/config/limits_config.h"
#include "server/config/resume_config.h"
#include "server/config/tls_config.h"

namespace stepcast {

// Port 0 picks a free one; nullopt turns the listener off.
struct ListenConfig {
  std::string host = "127.0.0.1";  // of the public port: an address or name, IPv6 without brackets
  int port = 50051;                // public gRPC, 0..65535
  std::string admin_host = "127.0.0.1";
  std::optional<int> admin_port = 50052;  // health, for probes; gRPC
  std::string metrics_host = "127.0.0.1";
  std::optional<int> metrics_port = 9464;  // Prometheus, HTTP
  bool allow_plaintext = false;            // gRPC without TLS where other machines reach it
  int socket_mode = 0660;                  // of "unix:/path", which `host` and `admin_host` may be
};

// How a stop goes: not ready at once, `linger`, refuse new work, `timeout` for what runs, cancel the rest.
struct DrainConfig {
  absl::Duration linger = absl::ZeroDuration();  // 0..10 min; lets load balancers see "not ready" first
  absl::Duration timeout = absl::Seconds(60);    // 0..24 h
};

// When the process is no longer worth keeping.
struct HealthConfig {
  absl::Duration stall_timeout = absl::Seconds(120);  // no tick for so long although work is pending; 1 s..24 h
};

struct CodecConfig {
  int threads = 0;      // 0..64; 0: two, or one where the process may use one CPU only
  int max_queued = 64;  // 1..100000; previews beyond it are dropped, finished pictures never
};

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kAuto, kText, kJson };  // auto: text on a terminal, else JSON

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
  bool prompts = false;  // in the lines of calls, for debugging
};

// What the engine loops get where the file says nothing: EngineLoopOptions' defaults, and a profile of 20 s at most.
inline EngineLoopOptions DefaultLoopOptions() {
  EngineLoopOptions options;
  options.profile.budget = absl::Seconds(20);
  return options;
}

// Variables of the environment, as name and value.
using ConfigVariables = std::vector<std::pair<std::string, std::string>>;

// Everything an operator can say.
struct ServerConfig {
  EngineOptions engine;                                // models (at least one), devices, dtype, threads, rows, memory
  std::string default_model;                           // "": the first model
  std::vector<std::string> loras_dirs;                 // folders of LoRAs; empty: none
  int64_t loras_budget = int64_t{1} << 30;             // bytes that LoRAs may take on each device, or kNoMemoryBudget
  std::string embeddings_dir;                          // of textual inversions; "": none
  int max_waiting_for_models = 64;                     // calls held until their model is loaded, 0..100000
  EngineLoopOptions scheduler = DefaultLoopOptions();  // policy, admission's bounds, heartbeat, profile
  ListenConfig listen;
  LimitsConfig limits;
  absl::Duration default_deadline = absl::InfiniteDuration();  // of calls that bring none; "none" or 1 ms..24 h
  DrainConfig drain;
  ResumeConfig resume;
  HealthConfig health;
  TenantsConfig tenants;
  AuthConfig auth;
  AdminConfig admin;
  TlsConfig tls;  // of the public port; plaintext where it is off
  CodecConfig codec;
  LogConfig log;
  bool reflection = true;   // lets grpcurl describe the public port
  std::string port_file;    // "": none; else receives the bound ports as JSON once the server listens
  std::string record_file;  // "": none; else receives every decision of the scheduler (scheduler/recording/recorder.h)
  std::vector<std::string> notes;  // what was left out of folders of models and nets; a line each
};

// What the command line says; wins over the file.
struct ConfigOverrides {
  std::optional<std::string> host;
  std::optional<int> port;
  std::optional<int> admin_port;                // -1: off
  std::optional<int> metrics_port;              // -1: off
  std::optional<std::string> models_dir;        // replaces `models` by FindModels(*models_dir)
  std::optional<std::string> control_nets_dir;  // replaces `control_nets` by FindControlNets(*control_nets_dir)
  std::optional<std::string> embeddings_dir;
  std::optional<std::string> loras_dir;       // replaces loras_dirs by this one, "" by none
  std::optional<std::string> validate_model;  // path; replaces `models` by this one, with what the file says of it
  std::optional<std::string> default_model;
  std::optional<std::string> device;
  std::optional<std::string> dtype;
  std::optional<int> threads;
  std::optional<std::string> policy;
  std::optional<absl::Duration> profile_budget;
  std::optional<std::string> port_file;
  std::optional<bool> allow_plaintext;
};

// Reads the file at `path` ("": no file, defaults only), applies what the environment says (config_environment.h), then
// `overrides`, and checks the whole, also against this machine: hosts must have an address, files that are written must
// be distinct and lie where that is possible.
//
// Model paths, cache_file, port_file and record_file are relative to the file's folder; where one of the files is a
// symbolic link, it is resolved.
// Errors: INVALID_ARGUMENT or NOT_FOUND; one line per mistake, "path:line: message" (flags: "--port: message").
absl::StatusOr<ServerConfig> LoadServerConfig(const std::string& path, const ConfigOverrides& overrides,
                                              const ConfigVariables& variables = {});

// As LoadServerConfig, from the text of a file and without a look at the machine. `path` names it in errors and anchors
// relative paths.
absl::StatusOr<ServerConfig> ParseServerConfig(const std::string& text, const std::string& path,
                                               const ConfigOverrides& overrides, const ConfigVariables& variables = {});

struct FoundModels {
  std::vector<ModelSource> models;   // in order of name; at least one
  std::vector<std::string> skipped;  // a line for each that is none, or cannot be named in requests
};

// The models in `dir`: subfolders with a model_index.json, and .safetensors files (ModelIdOf). Errors: NOT_FOUND when
// none can be named; INVALID_ARGUMENT when that is their names' fault alone.
absl::StatusOr<FoundModels> FindModels(const std::string& dir);

}  // namespace stepcast

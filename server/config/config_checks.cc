#include "server/config/config_checks.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/dtype.h"
#include "core/status_macros.h"
#include "server/config/adapter_config.h"
#include "server/config/control_config.h"
#include "server/config/file_check.h"
#include "server/config/host_check.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr int kMaxPort = 65535;

absl::Status ToStatus(const std::vector<std::string>& mistakes) {
  return mistakes.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
}

void OverridePort(const char* flag, const std::optional<int>& port, int min, std::optional<int>& value,
                  std::vector<std::string>& mistakes) {
  if (!port.has_value()) return;
  if (*port < min || *port > kMaxPort) {
    mistakes.push_back(absl::StrCat(flag, ": got ", *port, "; allowed: 0..", kMaxPort, ", 0 for any free one",
                                    min < 0 ? ", -1 for none" : ""));
    return;
  }
  value = *port < 0 ? std::nullopt : port;
}

void OverrideEngine(const ConfigOverrides& overrides, EngineOptions& engine, std::vector<std::string>& mistakes) {
  if (overrides.device.has_value()) {
    engine.device = *overrides.device;
    if (!IsDevice(engine.device)) {
      mistakes.push_back(absl::StrCat("--device: got ", Quoted(engine.device), "; allowed: ", kDevices));
    }
  }
  if (overrides.dtype.has_value()) {
    engine.dtype = *overrides.dtype;
    if (!IsDtype(engine.dtype)) {
      mistakes.push_back(absl::StrCat("--dtype: got ", Quoted(engine.dtype), "; allowed: ", kDtypeNames));
    }
  }
  if (overrides.threads.has_value()) {
    engine.threads = *overrides.threads;
    if (engine.threads < 0 || engine.threads > 1024) {
      mistakes.push_back(absl::StrCat("--threads: got ", engine.threads, "; allowed: 0..1024"));
    }
  }
}

// Whether two listeners would fight for one port. Hosts are compared as words: an address that covers another is found
// out by the operating system.
void CheckPorts(const ListenConfig& listen, const std::string& path, std::vector<std::string>& mistakes) {
  struct Listener {
    const char* name;
    const std::string& host;
    int port;
  };
  const Listener listeners[] = {{"port", listen.host, listen.port},
                                {"admin_port", listen.admin_host, listen.admin_port.value_or(0)},
                                {"metrics_port", listen.metrics_host, listen.metrics_port.value_or(0)}};
  for (const Listener& a : listeners) {
    for (const Listener& b : listeners) {
      const bool sockets = IsUnixSocket(a.host);
      if (&a >= &b || a.host != b.host || (!sockets && (a.port == 0 || a.port != b.port))) continue;
      if (sockets) {
        mistakes.push_back(absl::StrCat(path, ": listen: two ports are both ", Quoted(a.host)));
        continue;
      }
      mistakes.push_back(absl::StrCat(path, ": listen.", a.name, " and listen.", b.name, " are both ", a.port));
    }
  }
}

// What everybody on a network could read and change.
void CheckPlaintext(const ServerConfig& config, const std::string& path, std::vector<std::string>& mistakes) {
  const ListenConfig& listen = config.listen;
  if (config.admin.tls && !config.tls.on()) {
    mistakes.push_back(absl::StrCat(path, ": admin.tls: got true; allowed: false without tls.cert_file"));
  }
  if (listen.allow_plaintext) return;
  const auto check = [&](const char* key, const std::string& host, bool tls) {
    if (tls || IsLocal(host)) return;
    mistakes.push_back(
        absl::StrCat(path, ": listen.", key, ": got ", Quoted(host), " without TLS; allowed: ",
                     "127.0.0.1, ::1, localhost or unix:/path, or any with tls.cert_file and tls.key_file",
                     " (and admin.tls), or with listen.allow_plaintext: true"));
  };
  check("host", listen.host, config.tls.on());
  if (listen.admin_port.has_value()) check("admin_host", listen.admin_host, config.admin.tls);
}

// The devices and loops that there will be, as far as the configuration tells; empty where the machine decides.
std::vector<std::string> KnownDevices(const EngineOptions& engine) {
  if (!engine.devices.empty()) return engine.devices;
  if (engine.device == "cuda") return {"cuda:0"};
  if (engine.device == "auto") return {};
  std::vector<std::string> devices = {engine.device};
  for (int i = 0; i < engine.replicas && engine.replicas > 1; ++i) devices.push_back(absl::StrCat("cpu:", i));
  return devices;
}

void CheckModelDevices(const EngineOptions& engine, const std::string& path, std::vector<std::string>& mistakes) {
  const std::vector<std::string> known = KnownDevices(engine);
  if (known.empty()) return;
  for (size_t i = 0; i < engine.models.size(); ++i) {
    for (const std::string& device : engine.models[i].devices) {
      if (std::find(known.begin(), known.end(), device) != known.end()) continue;
      mistakes.push_back(absl::StrCat(path, ": models[", i, "].devices: got ", Quoted(device),
                                      "; allowed: ", absl::StrJoin(known, ", ")));
    }
  }
}

// `names` of one loop's file, and of the loops after the first, which have .1, .2 ... appended.
NamedFile PerLoop(const char* key, const std::string& path, const std::string& beside, const ServerConfig& config) {
  NamedFile file{.key = key, .path = path, .suffixes = {beside}};
  const size_t loops = std::max(config.engine.devices.size(), static_cast<size_t>(config.engine.replicas));
  for (size_t i = 1; i < loops; ++i) {
    file.suffixes.push_back(absl::StrCat(".", i));
    file.suffixes.push_back(absl::StrCat(".", i, beside));
  }
  return file;
}

std::vector<NamedFile> WrittenFiles(const ServerConfig& config, const std::string& path) {
  std::vector<NamedFile> files;
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    files.push_back({.key = "the configuration", .path = path, .read_only = true});
  }
  if (!config.port_file.empty()) files.push_back({.key = "port_file", .path = config.port_file, .suffixes = {".tmp"}});
  if (!config.record_file.empty()) files.push_back(PerLoop("record_file", config.record_file, ".old", config));
  const std::string& cache_file = config.scheduler.profile.cache_file;
  if (!cache_file.empty()) files.push_back(PerLoop("scheduler.profile.cache_file", cache_file, ".new", config));
  return files;
}

}  // namespace

bool IsDevice(const std::string& device) {
  if (device == "auto" || device == "cpu" || device == "cuda") return true;
  absl::string_view index = device;
  return absl::ConsumePrefix(&index, "cuda:") && !index.empty() && index.size() <= 3 &&
         std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsModelDevice(const std::string& device) {
  return device == "cpu" || (absl::StartsWith(device, "cpu:") && IsDevice(absl::StrCat("cuda:", device.substr(4)))) ||
         (absl::StartsWith(device, "cuda:") && IsDevice(device));
}

bool IsDtype(const std::string& dtype) { return DtypeFromName(dtype).has_value(); }

bool IsMetadataKey(const std::string& key) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  // A name is told in refusals and in the log; a token must be in neither.
  if (key == "authorization") return false;
  return !key.empty() && key.size() <= 64 && std::all_of(key.begin(), key.end(), allowed) &&
         !absl::StartsWith(key, "grpc-") && !absl::EndsWith(key, "-bin");
}

std::vector<std::string> FindModelMistakes(const std::vector<ModelSource>& models) {
  std::vector<std::string> mistakes;
  const ModelSource& last = models.back();
  const std::string name = absl::StrCat("models[", models.size() - 1, "]");
  if (!IsModelId(last.id))
    mistakes.push_back(absl::StrCat(name, ".id: got ", Quoted(last.id), "; allowed: ", kModelIds));
  if (last.path.empty())
    mistakes.push_back(absl::StrCat(name, ".path: got nothing; allowed: a folder, or a .safetensors file"));
  const auto same_id = [&last](const ModelSource& model) { return model.id == last.id; };
  if (std::count_if(models.begin(), models.end(), same_id) > 1) {
    mistakes.push_back(absl::StrCat(name, ".id: ", Quoted(last.id), " is the id of another model already"));
  }
  return mistakes;
}

absl::Status ApplyOverrides(const ConfigOverrides& overrides, ServerConfig& config) {
  std::vector<std::string> mistakes;
  std::optional<int> port = config.listen.port;
  OverridePort("--port", overrides.port, 0, port, mistakes);
  config.listen.port = port.value_or(0);
  OverridePort("--admin_port", overrides.admin_port, -1, config.listen.admin_port, mistakes);
  OverridePort("--metrics_port", overrides.metrics_port, -1, config.listen.metrics_port, mistakes);
  OverrideEngine(overrides, config.engine, mistakes);
  config.listen.host = overrides.host.value_or(config.listen.host);
  config.listen.allow_plaintext = overrides.allow_plaintext.value_or(config.listen.allow_plaintext);
  config.default_model = overrides.default_model.value_or(config.default_model);
  config.port_file = overrides.port_file.value_or(config.port_file);
  if (overrides.policy.has_value()) {
    config.scheduler.policy.name = *overrides.policy;
    const absl::Status policy = MakePolicy(config.scheduler.policy).status();
    if (!policy.ok()) mistakes.push_back(absl::StrCat("--policy: ", policy.message()));
  }
  if (overrides.profile_budget.has_value()) {
    config.scheduler.profile.budget = *overrides.profile_budget;
    if (*overrides.profile_budget < absl::ZeroDuration() || *overrides.profile_budget > kMaxProfileBudget) {
      mistakes.push_back(absl::StrCat("--profile_budget: got ", absl::FormatDuration(*overrides.profile_budget),
                                      "; allowed: 0..", absl::FormatDuration(kMaxProfileBudget)));
    }
  }
  if (overrides.validate_model.has_value()) {
    // What the file says of the model stays.
    const std::string& path = *overrides.validate_model;
    ModelSource named{.id = ModelIdOf(path), .path = path};
    std::error_code ignored;
    for (const ModelSource& model : config.engine.models) {
      if (std::filesystem::equivalent(model.path, path, ignored)) named = model;
    }
    config.engine.models = {std::move(named)};
    config.default_model = "";
  } else if (overrides.models_dir.has_value()) {
    absl::StatusOr<FoundModels> found = FindModels(*overrides.models_dir);
    if (found.ok()) {
      config.engine.models = std::move(found->models);
      std::ranges::move(found->skipped, std::back_inserter(config.notes));
    } else {
      mistakes.push_back(absl::StrCat("--models_dir: ", found.status().message()));
    }
  }
  if (overrides.control_nets_dir.has_value()) {
    config.engine.control_nets.clear();
    const absl::Status added = AddControlNets(*overrides.control_nets_dir, config.engine, config.notes);
    if (!added.ok()) mistakes.push_back(absl::StrCat("--control_nets_dir: ", added.message()));
  }
  ApplyAdapterOverrides(overrides, config, mistakes);
  return ToStatus(mistakes);
}

absl::Status CheckServerConfig(const ServerConfig& config, const std::string& path) {
  std::vector<std::string> mistakes;
  const auto& models = config.engine.models;
  if (models.empty()) {
    mistakes.push_back(absl::StrCat(path, ": no model is named; name one in `models` or give --models_dir"));
  }
  const auto is_default = [&config](const ModelSource& model) { return model.id == config.default_model; };
  if (!models.empty() && !config.default_model.empty() && std::none_of(models.begin(), models.end(), is_default)) {
    const auto append = [](std::string* out, const ModelSource& model) { absl::StrAppend(out, model.id); };
    mistakes.push_back(absl::StrCat(path, ": default_model: got ", Quoted(config.default_model),
                                    "; allowed: ", absl::StrJoin(models, ", ", append)));
  }
  CheckPorts(config.listen, path, mistakes);
  CheckPlaintext(config, path, mistakes);
  const InputPictureLimits& pictures = config.limits.input_pictures;
  const int64_t least = kDecodingBytesPerPixel * pictures.max_pixels + config.limits.max_request_bytes;
  if (pictures.budget_bytes < least) {
    mistakes.push_back(absl::StrCat(path, ": limits.input_pictures.budget_bytes: got ", pictures.budget_bytes,
                                    "; allowed: at least ", least, ", ", kDecodingBytesPerPixel,
                                    " x max_pixels + max_request_bytes"));
  }
  if (config.admin.channelz && !config.admin.token_file.empty()) {
    mistakes.push_back(absl::StrCat(path,
                                    ": admin.channelz: got true; allowed: false beside admin.token_file: the service ",
                                    "is gRPC's own, and knows no tokens"));
  }
  const EngineOptions& engine = config.engine;
  CheckModelDevices(engine, path, mistakes);
  if (engine.strict_rows == 1 || engine.strict_rows > engine.max_rows) {
    mistakes.push_back(absl::StrCat(path, ": strict_rows: got ", engine.strict_rows,
                                    "; allowed: 0, auto, or 2..max_rows (", engine.max_rows, ")"));
  }
  if (!engine.devices.empty() && engine.replicas > 1) {
    mistakes.push_back(absl::StrCat(path, ": replicas are loops on the CPU and do not go with devices"));
  }
  return ToStatus(mistakes);
}

absl::Status CheckAgainstMachine(const ServerConfig& config, const std::string& path) {
  std::vector<std::string> mistakes;
  const ListenConfig& listen = config.listen;
  const auto check_host = [&](const char* key, const std::string& host, bool ipv4_only) {
    const std::string mistake = FindHostMistake(host, ipv4_only);
    if (!mistake.empty()) mistakes.push_back(absl::StrCat(path, ": listen.", key, ": ", mistake));
  };
  check_host("host", listen.host, /*ipv4_only=*/false);
  if (listen.admin_port.has_value()) check_host("admin_host", listen.admin_host, /*ipv4_only=*/false);
  if (listen.metrics_port.has_value()) check_host("metrics_host", listen.metrics_host, /*ipv4_only=*/true);
  for (const std::string& mistake : FindFileMistakes(WrittenFiles(config, path))) {
    mistakes.push_back(absl::StrCat(path, ": ", mistake));
  }
  for (const std::string& folder : config.loras_dirs) {
    if (std::filesystem::is_directory(folder)) continue;
    mistakes.push_back(absl::StrCat(path, ": loras_dir: ", folder, " is no folder"));
  }
  return ToStatus(mistakes);
}

}  // namespace stepcast

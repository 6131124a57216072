// stepcast-server: reads the configuration, binds the ports, loads the models, serves until told to stop. Started by
// launcher.cc, which holds SIGTERM and SIGINT back from the first moment.
//
// Exit codes: 0 drained and stopped; 2 configuration, or a port that is in use; 3 no model can be loaded;
// 4 the device was lost.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/clock.h"
#include "core/cpu_budget.h"
#include "core/string_view.h"
#include "engine/start/engine_factory.h"
#include "server/catalog/model_registry.h"
#include "server/config/config.h"
#include "server/config/config_printer.h"
#include "server/config/environment.h"
#include "server/config/tls_files.h"
#include "server/config/token_file.h"
#include "server/identity/access_rules.h"
#include "server/process/bounded_stop.h"
#include "server/process/command_line.h"
#include "server/process/drain.h"
#include "server/process/file_limit.h"
#include "server/process/model_report.h"
#include "server/process/server.h"
#include "server/process/service_manager.h"
#include "server/process/signal_waiter.h"
#include "server/process/start_banner.h"
#include "server/request/request_validator.h"
#include "server/telemetry/logging.h"
#include "server/wire/version.h"

namespace stepcast {
namespace {

constexpr int kExitConfig = 2;
constexpr int kExitModel = 3;
constexpr int kExitDevice = 4;

// How long the end of the process waits for whoever reads the log.
constexpr absl::Duration kLastLines = absl::Seconds(1);

// The process ends now, whatever threads still do.
[[noreturn]] void ExitAtOnce(int code) {
  FlushLog(kLastLines);
  std::_Exit(code);
}

// The configuration as file, environment and flags tell it, in this order.
absl::StatusOr<ServerConfig> ReadConfig(const CommandLine& line) {
  return LoadServerConfig(line.config, line.overrides, EnvironmentVariables("STEPCAST_"));
}

// Plain lines, whatever the log's format: a person reads them.
int Fail(int code, const absl::Status& status) {
  FlushLog(kLastLines);
  const absl::string_view message = status.message();
  std::fprintf(stderr, "stepcast-server: %.*s\n", static_cast<int>(message.size()), message.data());
  return code;
}

// Loads on a thread of its own, so that a signal ends the process at once however long it takes. nullopt: a signal
// came.
std::optional<absl::StatusOr<LoadedEngine>> Load(EngineOptions options, EngineMetrics& metrics, SignalWaiter& signals) {
  options.log_error = [](std::string_view text) { Log(LogLevel::kError, text); };
  options.log_notice = [](std::string_view text) { Log(LogLevel::kWarning, text); };
  // The thread's own, too: it goes on while the process ends.
  struct Loading {
    EngineOptions options;
    absl::StatusOr<LoadedEngine> loaded = absl::UnknownError("not loaded");
    std::atomic<bool> done{false};
  };
  const auto loading = std::make_shared<Loading>();
  loading->options = std::move(options);
  std::thread loader([loading, &metrics, &signals] {
    loading->loaded = CreateEngine(loading->options, metrics);
    loading->done = true;
    signals.Nudge();
  });
  while (!loading->done) {
    if (signals.Wait(absl::InfiniteDuration()) != SignalWaiter::Wake::kSignal) continue;
    loader.detach();
    return std::nullopt;
  }
  loader.join();
  return std::move(loading->loaded);
}

// What the loop of the process does between signals.
void Tend(Server& server, ServiceManager& manager) {
  server.Housekeep();
  manager.Watch(server.live(), RealClock().Now());
}

void Reload(const CommandLine& line, Server& server, ServiceManager& manager) {
  manager.Reloading();
  server.Reload(ReadConfig(line));
  manager.Ready();
}

// Serves until drained. Returns the exit code.
int ServeUntilDrained(const CommandLine& line, Server& server, SignalWaiter& signals, ServiceManager& manager) {
  // Twice within a watchdog's time at least.
  const absl::Duration housekeeping = std::min(absl::Seconds(1), manager.watchdog() / 4);
  constexpr absl::Duration kStopLimit = absl::Seconds(15);
  Drain drain(server.config().drain, server, RealClock());
  bool losing = false;
  bool told_ready = false;
  while (true) {
    const absl::Duration due = drain.Advance();
    if (drain.stage() == DrainStage::kDone) break;
    const SignalWaiter::Wake wake = signals.Wait(std::min(due, housekeeping));
    if (wake == SignalWaiter::Wake::kReload) Reload(line, server, manager);
    if (wake == SignalWaiter::Wake::kSignal) {
      Log(LogLevel::kInfo, drain.stage() == DrainStage::kServing ? "draining" : "stopping without waiting");
      manager.Stopping();
      drain.Signal();
    }
    Tend(server, manager);
    if (server.ready() && !std::exchange(told_ready, true)) manager.Ready();
    if (server.device_lost() && !std::exchange(losing, true)) {
      Log(LogLevel::kError, "device lost; stopping");
      drain.Signal();
      drain.Signal();
    }
  }
  const bool ended = FinishesInTime([&server] { server.StopServing(); }, kStopLimit, signals, RealClock());
  const int code = server.device_lost() ? kExitDevice : 0;
  if (!ended) {
    Log(LogLevel::kWarning, "stopped; calls that did not end were left behind");
    ExitAtOnce(code);
  }
  // A lost device may hang whoever waits for it, destructors included.
  if (server.device_lost() || !server.engine_idle()) {
    Log(LogLevel::kWarning, "stopped; the engine's last tick was left behind");
    ExitAtOnce(code);
  }
  Log(LogLevel::kInfo, "stopped");
  return code;
}

// As Fail, for what is no reason to stop.
void Note(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::fprintf(stderr, "stepcast-server: %s\n", line.c_str());
}

void LogThreads(const EngineOptions& engine) {
  const CpuBudget cpus = ReadCpuBudget();
  const int threads = engine.threads > 0 ? engine.threads : cpus.threads;
  Log(LogLevel::kInfo, "threads",
      {{"threads", int64_t{threads}},
       {"replicas", int64_t{engine.replicas}},
       {"usable", cpus.ToString()},
       {"affinity", int64_t{cpus.affinity}},
       {"quota", std::isinf(cpus.quota) ? std::string("none") : absl::StrCat(cpus.quota)}});
  if (threads > cpus.threads) {
    Log(LogLevel::kWarning, "more threads than this process may run at once: ticks will take longer, not shorter",
        {{"threads", int64_t{threads}}, {"usable", cpus.ToString()}, {"remedy", "threads: 0"}});
  }
}

// Reads the one model of `config` and says what it is. Returns the exit code.
int ValidateModel(const ServerConfig& config) {
  EngineOptions options = config.engine;
  options.log_error = [](std::string_view text) {
    std::fprintf(stderr, "stepcast-server: %.*s\n", static_cast<int>(text.size()), text.data());
  };
  const absl::StatusOr<CheckedModel> model = CheckModel(options);
  if (!model.ok()) return Fail(kExitModel, model.status());
  if (model->control_net.has_value()) {
    std::fputs(ControlNetReport(*model->control_net, model->warnings).c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<ModelRegistry> registry = ModelRegistry::Create({model->info}, "");
  if (!registry.ok()) return Fail(kExitModel, registry.status());
  const std::vector<RefusedModel> misfits = FindMisfits(*registry, config.limits);
  if (!misfits.empty()) return Fail(kExitModel, absl::InvalidArgumentError(misfits.front().why));
  std::fputs(ModelReport(registry->default_model(), config.limits, model->warnings).c_str(), stdout);
  return 0;
}

// The token first, so that a script takes the first line.
int PrintNewToken(const std::string& tenant) {
  const absl::StatusOr<NewToken> made = MakeToken(tenant);
  if (!made.ok())
    return Fail(kExitConfig, absl::InvalidArgumentError(absl::StrCat("--new_token: ", made.status().message())));
  std::printf("%s\n%s\n", made->token.c_str(), made->line.c_str());
  return 0;
}

// Where values that are not the defaults come from: the last of file, environment and flags to change them.
std::vector<ConfigEntry> Sources(const CommandLine& line) {
  std::vector<ConfigEntry> sources;
  const auto add = [&sources](const absl::StatusOr<ServerConfig>& before, const absl::StatusOr<ServerConfig>& after,
                              const char* source) {
    if (!before.ok() || !after.ok()) return;  // valid only with what comes later
    for (const std::string& key : ChangedKeys(*before, *after)) {
      std::erase_if(sources, [&key](const ConfigEntry& entry) { return entry.key == key; });
      sources.push_back({key, source});
    }
  };
  ServerConfig defaults;
  const absl::StatusOr<ServerConfig> file = LoadServerConfig(line.config, {});
  const absl::StatusOr<ServerConfig> environment = LoadServerConfig(line.config, {}, EnvironmentVariables("STEPCAST_"));
  add(defaults, file, "file");
  add(file, environment, "environment");
  add(environment.ok() ? environment : file.ok() ? file : defaults, ReadConfig(line), "flag");
  return sources;
}

// What can be told without serving; nullopt: serve.
std::optional<int> Answer(const CommandLine& line, const ServerConfig& config) {
  if (line.print_config) {
    std::fputs(PrintConfig(config, Sources(line)).c_str(), stdout);
    return 0;
  }
  if (line.validate_model) return ValidateModel(config);
  if (!line.check_config) return std::nullopt;
  const auto access = LoadAccess(config, RealClock().Now());
  if (!access.ok()) return Fail(kExitConfig, access.status());
  if (config.tls.on()) {
    const auto files = ReadTlsFiles(config.tls, RealClock().Now());
    if (!files.ok()) return Fail(kExitConfig, files.status());
  }
  Note(config.notes);
  std::printf("the configuration is fine\n");
  return 0;
}

std::string NamesOf(const std::vector<LoadedDevice>& devices) {
  return absl::StrJoin(devices, ", ", [](std::string* out, const LoadedDevice& device) {
    absl::StrAppend(out, device.name);
    if (device.name.starts_with("cpu"))
      absl::StrAppend(out, " (", device.threads, device.threads == 1 ? " thread)" : " threads)");
  });
}

void LogEngine(const LoadedEngine& engine) {
  if (!engine.strict.empty()) Log(LogLevel::kInfo, engine.strict);
  for (const std::string& note : engine.notes) Log(LogLevel::kInfo, note);
  for (const SharedModelInfo& info : engine.models) LogModel(*info);
  for (const ControlNetInfo& net : engine.control_nets) LogControlNet(net);
  for (const std::string& warning : engine.warnings) Log(LogLevel::kWarning, warning);
}

int Serve(const CommandLine& line, const ServerConfig& config, SignalWaiter& signals) {
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Create(config, RealClock(), [&signals] { signals.Nudge(); }, &ReadTextualInversion);
  if (!server.ok()) return Fail(kExitConfig, server.status());
  std::optional<absl::StatusOr<LoadedEngine>> engine = Load(config.engine, (*server)->metrics(), signals);
  if (!engine) {
    Log(LogLevel::kInfo, "stopped while loading");
    ExitAtOnce(0);  // the loading thread still works
  }
  if (!engine->ok()) {
    // What options alone are wrong about is said before any model is read.
    return Fail(absl::IsInvalidArgument(engine->status()) ? kExitConfig : kExitModel, engine->status());
  }
  LogEngine(**engine);
  const std::string devices = NamesOf((*engine)->devices);
  if (absl::Status served = (*server)->Serve(**std::move(engine)); !served.ok()) {
    // A record_file that cannot be written.
    return Fail(absl::IsUnavailable(served) ? kExitConfig : kExitModel, served);
  }
  std::fputs(StartBanner(config, (*server)->ports(), (*server)->models(), devices).c_str(), stdout);
  std::fflush(stdout);
  Log(LogLevel::kInfo, "serving",
      {{"version", kVersion},
       {"devices", devices},
       {"port", int64_t{(*server)->ports().grpc}},
       {"admin_port", int64_t{(*server)->ports().admin}},
       {"metrics_port", int64_t{(*server)->ports().metrics}}});
  ServiceManager manager(ServiceManager::FromProcess());
  return ServeUntilDrained(line, **server, signals, manager);
}

int Run(const CommandLine& line) {
  if (line.new_token.has_value()) return PrintNewToken(*line.new_token);
  const absl::StatusOr<ServerConfig> config = ReadConfig(line);
  if (!config.ok()) return Fail(kExitConfig, config.status());
  if (const std::optional<int> answered = Answer(line, *config)) return *answered;
  InitLogging(config->log);
  RaiseOpenFileLimit();
  for (const std::string& note : config->notes) Log(LogLevel::kError, note);
  LogThreads(config->engine);
  absl::StatusOr<std::unique_ptr<SignalWaiter>> signals = SignalWaiter::Create();
  if (!signals.ok()) return Fail(kExitConfig, signals.status());
  if ((*signals)->Wait(absl::ZeroDuration()) == SignalWaiter::Wake::kSignal) {
    Log(LogLevel::kInfo, "stopped before loading");
    return 0;
  }
  return Serve(line, *config, **signals);
}

}  // namespace
}  // namespace stepcast

int main(int argc, char** argv) {
  stepcast::SignalWaiter::Block();
  stepcast::ExecuteWithEngineEnvironment(argv);
  const stepcast::CommandLine line = stepcast::ParseCommandLine({argv + 1, argv + argc});
  if (line.ends) {
    std::fputs(line.text.c_str(), line.exit_code == 0 ? stdout : stderr);
    return line.exit_code;
  }
  const int code = stepcast::Run(line);
  stepcast::FlushLog(absl::Seconds(1));
  return code;
}

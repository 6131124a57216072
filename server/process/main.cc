// stepcast-server: reads the configuration, binds the ports, loads the models, serves until told to stop.
//
// Exit codes: 0 drained and stopped; 2 configuration, or a port that is in use; 3 a model that cannot be loaded;
// 4 the device was lost.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/clock.h"
#include "core/string_view.h"
#include "engine/engine_factory.h"
#include "server/config/config.h"
#include "server/process/bounded_stop.h"
#include "server/process/drain.h"
#include "server/process/file_limit.h"
#include "server/process/server.h"
#include "server/process/signal_waiter.h"
#include "server/process/start_banner.h"
#include "server/telemetry/logging.h"
#include "server/wire/version.h"

ABSL_FLAG(std::string, config, "", "YAML file; without one the defaults and the flags below are all there is");
ABSL_FLAG(bool, check_config, false, "check the configuration and exit: 0 fine, 2 not");
ABSL_FLAG(absl::optional<std::string>, host, absl::nullopt, "overrides listen.host");
ABSL_FLAG(absl::optional<int>, port, absl::nullopt, "overrides the public port; 0 picks a free one");
ABSL_FLAG(absl::optional<int>, admin_port, absl::nullopt,
          "overrides the admin port; 0 picks a free one, -1 turns it off");
ABSL_FLAG(absl::optional<int>, metrics_port, absl::nullopt,
          "overrides the metrics port; 0 picks a free one, -1 turns it off");
ABSL_FLAG(absl::optional<std::string>, models_dir, absl::nullopt,
          "serve every model in this folder instead of the configured ones");
ABSL_FLAG(absl::optional<std::string>, default_model, absl::nullopt, "the model of requests that name none");
ABSL_FLAG(absl::optional<std::string>, device, absl::nullopt, "auto, cpu or cuda:N");
ABSL_FLAG(absl::optional<std::string>, dtype, absl::nullopt, "auto, fp32, bf16 or fp16");
ABSL_FLAG(absl::optional<int>, threads, absl::nullopt, "CPU threads of the engine; 0: one per core");
ABSL_FLAG(absl::optional<std::string>, policy, absl::nullopt, "scheduling policy: slo, fifo, serial or request_level");
ABSL_FLAG(absl::optional<absl::Duration>, profile_budget, absl::nullopt,
          "time for measuring what ticks cost before the server is ready; 0: none");
ABSL_FLAG(absl::optional<std::string>, port_file, absl::nullopt, "write the bound ports to this file, as JSON");

namespace stepcast {
namespace {

constexpr int kExitConfig = 2;
constexpr int kExitModel = 3;
constexpr int kExitDevice = 4;

template <typename T>
std::optional<T> Given(const absl::Flag<absl::optional<T>>& flag) {
  const absl::optional<T> value = absl::GetFlag(flag);
  return value.has_value() ? std::optional<T>(*value) : std::nullopt;
}

ConfigOverrides Overrides() {
  ConfigOverrides overrides;
  overrides.host = Given(FLAGS_host);
  overrides.port = Given(FLAGS_port);
  overrides.admin_port = Given(FLAGS_admin_port);
  overrides.metrics_port = Given(FLAGS_metrics_port);
  overrides.models_dir = Given(FLAGS_models_dir);
  overrides.default_model = Given(FLAGS_default_model);
  overrides.device = Given(FLAGS_device);
  overrides.dtype = Given(FLAGS_dtype);
  overrides.threads = Given(FLAGS_threads);
  overrides.policy = Given(FLAGS_policy);
  overrides.profile_budget = Given(FLAGS_profile_budget);
  overrides.port_file = Given(FLAGS_port_file);
  return overrides;
}

// Plain lines, whatever the log's format: a person reads them.
int Fail(int code, const absl::Status& status) {
  const absl::string_view message = status.message();
  std::fprintf(stderr, "stepcast-server: %.*s\n", static_cast<int>(message.size()), message.data());
  return code;
}

// Loads on a thread of its own, so that a signal ends the process at once however long it takes. nullopt: a signal
// came.
std::optional<absl::StatusOr<LoadedEngine>> Load(EngineOptions options, EngineMetrics& metrics, SignalWaiter& signals) {
  absl::StatusOr<LoadedEngine> loaded = absl::UnknownError("not loaded");
  std::atomic<bool> done{false};
  options.log_error = [](std::string_view text) { Log(LogLevel::kError, text); };
  std::thread loader([&] {
    loaded = CreateEngine(options, metrics);
    done = true;
    signals.Nudge();
  });
  while (!done) {
    if (signals.Wait(absl::InfiniteDuration()) != SignalWaiter::Wake::kSignal) continue;
    loader.detach();
    return std::nullopt;
  }
  loader.join();
  return loaded;
}

// Serves until drained. Returns the exit code.
int ServeUntilDrained(Server& server, SignalWaiter& signals) {
  constexpr absl::Duration kHousekeeping = absl::Seconds(1);
  constexpr absl::Duration kStopLimit = absl::Seconds(15);
  Drain drain(server.config().drain, server, RealClock());
  bool losing = false;
  while (true) {
    const absl::Duration due = drain.Advance();
    if (drain.stage() == DrainStage::kDone) break;
    if (signals.Wait(std::min(due, kHousekeeping)) == SignalWaiter::Wake::kSignal) {
      Log(LogLevel::kInfo, drain.stage() == DrainStage::kServing ? "draining" : "stopping without waiting");
      drain.Signal();
    }
    server.Housekeep();
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
    std::_Exit(code);
  }
  // A lost device may hang whoever waits for it, destructors included.
  if (server.device_lost() || !server.engine_idle()) {
    Log(LogLevel::kWarning, "stopped; the engine's last tick was left behind");
    std::_Exit(code);
  }
  Log(LogLevel::kInfo, "stopped");
  return code;
}

int Run() {
  absl::StatusOr<ServerConfig> config = LoadServerConfig(absl::GetFlag(FLAGS_config), Overrides());
  if (!config.ok()) return Fail(kExitConfig, config.status());
  if (absl::GetFlag(FLAGS_check_config)) {
    std::printf("the configuration is fine\n");
    return 0;
  }
  InitLogging(config->log);
  RaiseOpenFileLimit();
  absl::StatusOr<std::unique_ptr<SignalWaiter>> signals = SignalWaiter::Create();
  if (!signals.ok()) return Fail(kExitConfig, signals.status());

  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Create(*config, RealClock(), [&signals] { (*signals)->Nudge(); });
  if (!server.ok()) return Fail(kExitConfig, server.status());

  std::optional<absl::StatusOr<LoadedEngine>> engine = Load(config->engine, (*server)->metrics(), **signals);
  if (!engine) {
    Log(LogLevel::kInfo, "stopped while loading");
    std::_Exit(0);  // the loading thread still works
  }
  if (!engine->ok()) return Fail(kExitModel, engine->status());
  if (!(*engine)->strict.empty()) Log(LogLevel::kInfo, (*engine)->strict);
  const std::vector<SharedModelInfo> models = (*engine)->models;
  const std::string devices = absl::StrJoin((*engine)->devices, ", ", [](std::string* out, const LoadedDevice& device) {
    absl::StrAppend(out, device.name);
  });
  if (absl::Status served = (*server)->Serve(**std::move(engine)); !served.ok()) {
    // A record_file that cannot be written.
    return Fail(absl::IsUnavailable(served) ? kExitConfig : kExitModel, served);
  }

  std::fputs(StartBanner(*config, (*server)->ports(), models, devices).c_str(), stdout);
  std::fflush(stdout);
  Log(LogLevel::kInfo, "serving",
      {{"version", kVersion},
       {"devices", devices},
       {"port", int64_t{(*server)->ports().grpc}},
       {"admin_port", int64_t{(*server)->ports().admin}},
       {"metrics_port", int64_t{(*server)->ports().metrics}}});
  return ServeUntilDrained(**server, **signals);
}

}  // namespace
}  // namespace stepcast

int main(int argc, char** argv) {
  stepcast::ExecuteWithEngineEnvironment(argv);
  absl::SetProgramUsageMessage("serves diffusion models over gRPC; see deploy/config.example.yaml");
  absl::FlagsUsageConfig usage;
  usage.version_string = [] {
    return absl::StrCat("stepcast-server ", stepcast::ToAbsl(stepcast::kVersion), " (",
                        stepcast::ToAbsl(stepcast::kCommit), ")\n");
  };
  absl::SetFlagsUsageConfig(usage);
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    std::fprintf(stderr, "stepcast-server: unexpected argument '%s' (see --help)\n", rest[1]);
    return stepcast::kExitConfig;
  }
  return stepcast::Run();
}

#pragma once
// The whole server but the engine: ports, services, threads, and the order in which they come and go.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "codec/codec_pool.h"
#include "core/clock.h"
#include "engine/start/engine_factory.h"
#include "scheduler/dispatch/dispatcher.h"
#include "server/call/completion_pace.h"
#include "server/call/image_service.h"
#include "server/call/live_calls.h"
#include "server/catalog/model_store.h"
#include "server/config/config.h"
#include "server/identity/gate.h"
#include "server/identity/tenant_rates.h"
#include "server/operators/model_service.h"
#include "server/operators/scheduler_service.h"
#include "server/operators/tick_feed.h"
#include "server/process/certificates.h"
#include "server/process/device_watch.h"
#include "server/process/drain.h"
#include "server/process/health.h"
#include "server/process/listener.h"
#include "server/process/live_settings.h"
#include "server/process/reflection.h"
#include "server/request/tenants.h"
#include "server/telemetry/metrics_exporter.h"
#include "server/telemetry/server_metrics.h"

namespace stepcast {

struct ServerPorts {
  int grpc = 0, admin = 0;
  int metrics = 0;  // 0: off
};

// Owns everything that serves. Life: Create binds the ports, and from then on health answers NOT_SERVING and calls get
// MODEL_LOADING; Serve takes the loaded engine; a Drain over this object, or the destructor, ends it.
//
// Thread-safety: Create, Serve, Housekeep, the DrainActions and StopServing belong to one thread.
class Server final : public DrainActions {
 public:
  // `wake` runs, on any thread, when a drain may go on or a device was lost. `clock` must outlive the server. `read`
  // reads textual inversions (engine/start); null: there are none.
  using ReadInversion = AdapterCatalog::ReadInversion;
  // Errors: FAILED_PRECONDITION, one line, when a port cannot be bound or port_file not be written; LoadAccess's.
  static absl::StatusOr<std::unique_ptr<Server>> Create(
      ServerConfig config, const Clock& clock, std::function<void()> wake = [] {}, ReadInversion read = nullptr);
  // StopServing, then waits for the engine's running tick.
  ~Server() override;

  // What the engine is to report to.
  ServerMetrics& metrics() { return metrics_; }

  // Takes the engine and serves; ready at once, or, with a profile to make, at the first Housekeep after it. Models
  // that cannot be served are left out, one line in the log each. REQUIRES: called at most once. Errors: those of
  // ModelRegistry::Create and Dispatcher::Create; UNAVAILABLE when record_file cannot be written.
  absl::Status Serve(LoadedEngine engine, const ModelRegistry::TokenizerLoader& load_tokenizer = &ClipTokenizer::Load);

  // Ends calls whose clients have stopped reading and looks after the devices; meant for once a second.
  void Housekeep();
  // What SIGHUP asks for: takes what may change of `fresh`, or nothing of it (server/process/live_settings.h).
  void Reload(absl::StatusOr<ServerConfig> fresh);
  bool ready() const { return announced_ready_; }  // health has said so
  bool live() const { return devices_.live(); }    // every device moves, as of the last Housekeep
  // DrainActions.
  void AnnounceNotReady() override;
  void RefuseNew() override;
  void FinishAdmitted(absl::Time deadline) override;
  void CancelRest() override;
  bool Idle() const override;

  // Cancels what is left and closes the ports. Idempotent. Waits for all calls to end, not for the engine.
  void StopServing();

  const ServerPorts& ports() const { return ports_; }
  const ServerConfig& config() const { return config_; }
  // Those that are served, the default first. REQUIRES: Serve has succeeded.
  std::vector<SharedModelInfo> models() const;
  bool device_lost() const { return devices_.all_lost(); }  // no device is left, as of the last Housekeep
  int live_calls() const { return live_.size(); }
  bool engine_idle() const;  // no job, no profile being made, no model being moved; true before Serve

 private:
  Server(ServerConfig config, SharedAccess access, const Clock& clock, std::function<void()> wake, ReadInversion read);
  absl::Status Listen();
  absl::Status WritePortFile() const;
  absl::StatusOr<ModelRegistry> RegisterModels(LoadedEngine& engine,
                                               const ModelRegistry::TokenizerLoader& load_tokenizer) const;
  std::unique_ptr<ModelStore> StoreModels(ModelRegistry models, LoadedEngine& engine,
                                          const ModelRegistry::TokenizerLoader& load_tokenizer);
  absl::Status StartLoops(LoadedEngine& engine);
  absl::Status OpenTokens();
  absl::StatusOr<SchedulerObserver*> ObserverOf(const std::string& device, const ExecutorLimits& limits,
                                                const EngineLoopOptions& options);
  void AnnounceReady();
  void LookAfterDevices(absl::Time now);

  const ServerConfig config_;
  const Clock& clock_;
  const std::function<void()> wake_;

  // In order of construction; what follows uses what precedes.
  ServerMetrics metrics_;
  HealthState health_;
  LiveCalls live_;
  RandomSeedSource seeds_;
  CompletionPace pace_;
  Quarantine quarantine_;
  CodecPool codec_;
  CodecPool writers_;  // one thread: all messages that the engine's events cause leave through it
  TickFeed ticks_;
  std::vector<std::unique_ptr<SchedulerObserver>> observers_;  // of the devices' schedulers, among them recorders
  int recorders_ = 0;
  std::unique_ptr<Dispatcher> loops_;
  std::unique_ptr<ModelStore> models_;
  std::unique_ptr<const ResumeTokens> tokens_;  // null: none are handed out
  AdapterCatalog adapters_;
  LoraCatalog loras_;
  std::unique_ptr<LoraStore> lora_store_;
  Access access_;
  Tenants tenants_;
  TenantRates rates_;
  const Gate public_gate_;
  const Gate admin_gate_;
  std::optional<Backend> backend_;
  ImageService service_;
  SchedulerService scheduler_service_;
  ModelService model_service_;
  HealthService public_health_{health_};
  HealthService admin_health_{health_};
  ReflectionService public_reflection_;
  ReflectionService admin_reflection_;
  std::unique_ptr<MetricsExporter> exporter_;
  std::unique_ptr<Certificates> certificates_;  // null: plaintext
  std::unique_ptr<Listener> public_;
  std::unique_ptr<Listener> admin_;
  ServerPorts ports_;
  std::optional<LiveSettings> settings_;  // once the ports are bound
  DeviceWatch devices_;
  bool announced_ready_ = false, stopped_ = false;
};

}  // namespace stepcast

#pragma once
// The whole server but the engine: ports, services, threads, and the order in which they come and go.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "codec/codec_pool.h"
#include "core/clock.h"
#include "engine/engine_factory.h"
#include "scheduler/engine_loop.h"
#include "server/completion_pace.h"
#include "server/config.h"
#include "server/drain.h"
#include "server/health.h"
#include "server/image_service.h"
#include "server/listener.h"
#include "server/live_calls.h"
#include "server/metrics_exporter.h"
#include "server/server_metrics.h"

namespace stepcast {

// What was bound; 0 for a listener that is off.
struct ServerPorts {
  int grpc = 0;
  int admin = 0;
  int metrics = 0;
};

// Owns everything that serves. Life: Create binds the ports, and from then on health answers NOT_SERVING and calls get
// MODEL_LOADING; Serve takes the loaded engine; a Drain over this object, or the destructor, ends it.
//
// Thread-safety: Create, Serve, Housekeep, the DrainActions and StopServing belong to one thread.
class Server final : public DrainActions {
 public:
  // `wake` runs, on any thread, when a drain may go on or the device was lost. `clock` must outlive the server.
  // Errors: FAILED_PRECONDITION, one line, when a port cannot be bound or port_file not be written.
  static absl::StatusOr<std::unique_ptr<Server>> Create(
      ServerConfig config, const Clock& clock, std::function<void()> wake = [] {});
  // StopServing, then waits for the engine's running tick.
  ~Server() override;

  // What the engine is to report to.
  ServerMetrics& metrics() { return metrics_; }

  // Takes the engine and becomes ready. REQUIRES: called at most once.
  // Errors: those of ModelRegistry::Create, CheckDefaultsFit and EngineLoop::Create.
  absl::Status Serve(LoadedEngine engine, const ModelRegistry::TokenizerLoader& load_tokenizer = &ClipTokenizer::Load);

  // Ends calls whose clients have stopped reading and tells liveness; meant for once a second.
  void Housekeep();

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
  bool device_lost() const { return device_lost_; }
  int live_calls() const { return live_.size(); }
  // Whether the engine has no job; true before Serve.
  bool engine_idle() const;

 private:
  // Work is pending and no tick has ended for this long: the process is not worth keeping. A tick of the slowest
  // bundled or documented model takes seconds.
  static constexpr absl::Duration kStallTimeout = absl::Seconds(120);

  Server(ServerConfig config, const Clock& clock, std::function<void()> wake);
  absl::Status Listen();
  absl::Status WritePortFile() const;
  void CheckLiveness(absl::Time now);

  const ServerConfig config_;
  const Clock& clock_;
  const std::function<void()> wake_;
  std::atomic<bool> device_lost_{false};

  // In order of construction; what follows uses what precedes.
  ServerMetrics metrics_;
  HealthState health_;
  LiveCalls live_;
  RandomSeedSource seeds_;
  CompletionPace pace_;
  CodecPool codec_;
  CodecPool writers_;  // one thread: all messages that the engine's events cause leave through it
  std::unique_ptr<EngineLoop> loop_;
  std::optional<Backend> backend_;
  ImageService service_;
  HealthService public_health_{health_};
  HealthService admin_health_{health_};
  std::unique_ptr<MetricsExporter> exporter_;
  std::unique_ptr<Listener> public_;
  std::unique_ptr<Listener> admin_;
  ServerPorts ports_;

  bool stopped_ = false;
  bool was_pending_ = false;
  absl::Time pending_since_ = absl::InfinitePast();
};

}  // namespace stepcast

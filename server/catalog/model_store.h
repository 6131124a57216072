#pragma once
// The models of the server, in memory or not: who may use one now, who waits for one, and which leaves for another.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/model_host.h"
#include "server/catalog/model_registry.h"
#include "server/telemetry/model_metrics.h"

namespace stepcast {

// As v1::ModelState, which says what they mean.
enum class ModelState { kReady, kUnloaded, kLoading, kUnloading, kFailed, kOff };

// A model at this moment.
struct ModelStanding {
  ModelState state = ModelState::kReady;
  ModelLoading loading = ModelLoading::kEager;
  std::map<std::string, std::vector<std::string>> shared_with = {};  // models in memory, by the name of the part
};

struct ModelStoreOptions {
  int max_waiting = 64;  // calls that may wait for models
  std::map<std::string, ModelLoading> loading = {};
  std::vector<std::string> unloaded = {};  // of the registry's models, those that are not in memory
  std::vector<ModelMemory> memory = {};
  // Makes of a model that was loaded what requests are checked against, or says why it cannot be served.
  std::function<absl::StatusOr<RegisteredModel>(SharedModelInfo)> admit = {};
  // Hears of each model that was loaded, before anybody has it; may be empty.
  std::function<void(const ModelInfo&)> on_loaded = {};
};

// While somebody has it, its model stays in memory.
using ModelLease = std::shared_ptr<const void>;

// One owner of what is in memory. A call takes a lease before it submits jobs and keeps it until they have ended; a
// model without leases may leave. A thread of its own, at low priority, loads and frees one model after the other;
// whoever asks for a model that is not there waits, and is called back from that thread. Room is made by the models
// that nobody uses, the longest unused first. When there are none, the longest unused ones that have been here for a
// good while are closed to newcomers until they are idle, so that a busy model cannot keep another out for ever.
//
// What is read at each load is registered anew: a model may come back as another one, from other files.
//
// Errors of its callbacks carry their reason: UNAVAILABLE (MODEL_LOADING: too many wait; MODEL_FAILED; DRAINING) with a
// retry delay, NOT_FOUND (MODEL_NOT_FOUND: switched off).
//
// Thread-safety: all methods may be called from any thread; none waits for a load but Stop.
class ModelStore {
 public:
  using OnLease = absl::AnyInvocable<void(absl::StatusOr<ModelLease>) &&>;
  using OnDone = absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&>;  // bytes that were freed
  // Ends the call that holds a lease: UNAVAILABLE (MODEL_LOADING) where a request brings the model back, else NOT_FOUND
  // (MODEL_NOT_FOUND).
  using CancelCall = std::function<void(const absl::Status&)>;

  // `host` null: models stay as they are. `metrics` and `clock` must outlive the store. REQUIRES: options.admit is set
  // when `host` is.
  ModelStore(ModelRegistry registry, ModelStoreOptions options, std::unique_ptr<ModelHost> host, ModelMetrics& metrics,
             const Clock& clock);
  // Stops.
  ~ModelStore();

  // All models as they are registered now; those of a lease do not change while it is held.
  std::shared_ptr<const ModelRegistry> registry() const;

  // REQUIRES: of `id`, here and below: the registry has it.
  ModelStanding Standing(const std::string& id) const;

  // OK, or what Acquire would answer at once.
  absl::Status Check(const std::string& id) const;

  // Calls back once: with a lease, at once if the model is in memory, or with an error. `cancel` is for operators who
  // do not wait for the holder. Returns a ticket for Abandon.
  int64_t Acquire(const std::string& id, CancelCall cancel, OnLease on_lease);
  // Who waits on this ticket waits no more, and is not called. Nothing happens once it was.
  void Abandon(int64_t ticket);

  // By hand (v1::ModelService). `deadline`: when those that still hold a lease are cancelled.
  void Load(const std::string& id, OnDone on_done);
  void Unload(const std::string& id, absl::Time deadline, bool reload_on_request, OnDone on_done);

  // Looks at the clock; meant for once a second.
  void Tend();

  // Everybody who waits is told `reason`, now and from now on. Models in memory can still be leased.
  void Close(const absl::Status& reason);

  // Closes, and waits for the load that runs. Idempotent.
  void Stop();

  // Whether a model is being loaded or freed.
  bool busy() const;

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;  // leases outlive the store
};

}  // namespace stepcast

#pragma once
// The inside of a ModelStore: model_store.cc answers callers, model_loading.cc is the thread that loads.

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"
#include "server/catalog/model_books.h"
#include "server/catalog/model_store.h"

namespace stepcast {

struct ModelStore::Impl : std::enable_shared_from_this<Impl> {
  using Answer = absl::AnyInvocable<void() &&>;

  Impl(ModelRegistry the_registry, ModelBooks the_books, ModelStoreOptions the_options,
       std::unique_ptr<ModelHost> the_host, ModelMetrics& the_metrics, const Clock& the_clock)
      : options(std::move(the_options)),
        host(std::move(the_host)),
        metrics(the_metrics),
        clock(the_clock),
        registry(std::make_shared<const ModelRegistry>(std::move(the_registry))),
        books(std::move(the_books)) {}

  // The thread that loads.
  void Run();
  void Do(const ModelTask& task);
  void Inspect(const std::string& id);
  void OnInspected(const std::string& id, SharedModelInfo info);
  void Load(const std::string& id);
  bool HasOutgrown(const std::string& id, const SharedModelInfo& info);
  void Unload(const std::string& id);
  void CancelHolders(const std::string& id);
  void OnLoaded(const std::string& id, HostedModel model, RegisteredModel registered, absl::Duration took);
  void OnFailed(const std::string& id, const absl::Status& why);

  // What clients are told. `again`: after which time it is worth while to ask again.
  static absl::Status Failed(const std::string& id, absl::Duration again);
  static absl::Status SwitchedOff(const std::string& id);
  static absl::Status TakenAway(const std::string& id);

  absl::Status Refusing(const ModelEntry& entry) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  int Waiting() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  ModelLease Lend(ModelEntry& entry, int64_t ticket, CancelCall cancel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Release(const std::string& id, int64_t ticket);
  void Refuse(ModelEntry& entry, const absl::Status& why, std::vector<Answer>& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  static void RefuseLoads(ModelEntry& entry, const absl::Status& why, std::vector<Answer>& answers);
  // It is out of memory, or was not let in. Whoever has asked for it since then has it loaded again.
  void Leave(ModelEntry& entry, int64_t freed, std::vector<Answer>& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  static void AnswerUnloads(ModelEntry& entry, absl::StatusOr<int64_t> freed, std::vector<Answer>& answers);
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  static void Give(std::vector<Answer> answers) {
    for (Answer& answer : answers) std::move(answer)();
  }

  const ModelStoreOptions options;
  const std::unique_ptr<ModelHost> host;  // the loading thread's
  ModelMetrics& metrics;
  const Clock& clock;

  mutable Mutex mutex;
  CondVar changed;
  std::shared_ptr<const ModelRegistry> registry ABSL_GUARDED_BY(mutex);
  ModelBooks books ABSL_GUARDED_BY(mutex);
  int64_t last_ticket ABSL_GUARDED_BY(mutex) = 0;
  std::optional<absl::Status> closed ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::thread thread;  // the store's own
};

}  // namespace stepcast

#include "server/catalog/model_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "server/catalog/model_store_impl.h"

namespace stepcast {
namespace {

constexpr absl::Duration kRetryLoading = absl::Seconds(5);

absl::Status Refusal(absl::StatusCode code, absl::string_view reason, const std::string& message) {
  return WithReason(absl::Status(code, message), {reason.data(), reason.size()});
}

absl::Status TooManyWait() {
  return WithRetryDelay(Refusal(absl::StatusCode::kUnavailable, "MODEL_LOADING",
                                "the model is not in memory, and enough calls wait for models already"),
                        kRetryLoading);
}

}  // namespace

absl::Status ModelStore::Impl::Failed(const std::string& id, absl::Duration again) {
  return WithRetryDelay(Refusal(absl::StatusCode::kUnavailable, "MODEL_FAILED",
                                absl::StrCat("model ", id, " could not be loaded; the server's log says why")),
                        again);
}

absl::Status ModelStore::Impl::SwitchedOff(const std::string& id) {
  return Refusal(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                 absl::StrCat("model: ", id, " was unloaded by an operator; see ListModels"));
}

absl::Status ModelStore::Impl::TakenAway(const std::string& id) {
  return WithRetryDelay(Refusal(absl::StatusCode::kUnavailable, "MODEL_LOADING",
                                absl::StrCat("model ", id,
                                             " was unloaded by an operator while it painted; send the request again, "
                                             "with the same seed")),
                        kRetryLoading);
}

// What would be answered to somebody who asks for the model now; OK: a lease or a place among those that wait.
absl::Status ModelStore::Impl::Refusing(const ModelEntry& entry) const {
  if (entry.state == ModelState::kReady) return absl::OkStatus();
  const bool leaves = entry.state == ModelState::kUnloading || entry.unload_next;
  if (entry.state == ModelState::kOff || (leaves && entry.after_unload == ModelState::kOff)) {
    return SwitchedOff(entry.id);
  }
  if (closed.has_value()) return *closed;
  if (entry.state == ModelState::kFailed && clock.Now() < entry.retry_at) {
    return Failed(entry.id, entry.retry_at - clock.Now());
  }
  if (host == nullptr || Waiting() >= options.max_waiting) return TooManyWait();
  return absl::OkStatus();
}

int ModelStore::Impl::Waiting() const {
  int waiting = 0;
  for (const ModelEntry& entry : books.entries()) waiting += static_cast<int>(entry.waiting.size());
  return waiting;
}

ModelLease ModelStore::Impl::Lend(ModelEntry& entry, int64_t ticket, CancelCall cancel) {
  entry.holders.emplace(ticket, std::move(cancel));
  entry.last_use = clock.Now();
  return {static_cast<const void*>(this),
          [self = shared_from_this(), id = entry.id, ticket](const void*) { self->Release(id, ticket); }};
}

void ModelStore::Impl::Release(const std::string& id, int64_t ticket) {
  MutexLock lock(mutex);
  ModelEntry& entry = books.Of(id);
  entry.holders.erase(ticket);
  entry.last_use = clock.Now();
  if (entry.holders.empty()) changed.NotifyAll();
}

// Whoever waits for the model is told `why`.
void ModelStore::Impl::Refuse(ModelEntry& entry, const absl::Status& why, std::vector<Answer>& answers) {
  for (WaitingCall& call : std::exchange(entry.waiting, {})) {
    answers.push_back([why, on_lease = std::move(call.on_lease)]() mutable { std::move(on_lease)(why); });
  }
  RefuseLoads(entry, why, answers);
}

void ModelStore::Impl::RefuseLoads(ModelEntry& entry, const absl::Status& why, std::vector<Answer>& answers) {
  for (OnDone& on_done : std::exchange(entry.loads, {})) {
    answers.push_back([why, on_done = std::move(on_done)]() mutable { std::move(on_done)(why); });
  }
}

void ModelStore::Impl::Publish() {
  const std::vector<SharedModelInfo> held = books.InMemory();
  for (const ModelMemory& device : books.memory()) {
    metrics.SetDeviceMemory(device.device, WeightBytes(held, device), device.budget);
  }
  for (const ModelEntry& entry : books.entries()) {
    const bool is_held = std::find(held.begin(), held.end(), entry.info) != held.end();
    metrics.SetModelMemory(entry.id, is_held ? WeightBytes(*entry.info) : 0);
  }
}

ModelStore::ModelStore(ModelRegistry registry, ModelStoreOptions options, std::unique_ptr<ModelHost> host,
                       ModelMetrics& metrics, const Clock& clock)
    : impl_([&] {
        std::vector<ModelEntry> entries;
        for (const RegisteredModel& model : registry.models()) {
          const std::string& id = model.info->id;
          ModelEntry& entry = entries.emplace_back();
          entry.id = id;
          entry.info = model.info;
          const auto loading = options.loading.find(id);
          if (loading != options.loading.end()) entry.loading = loading->second;
          const bool unloaded =
              std::find(options.unloaded.begin(), options.unloaded.end(), id) != options.unloaded.end();
          entry.state = unloaded ? ModelState::kUnloaded : ModelState::kReady;
        }
        ModelBooks books(std::move(entries), options.memory);
        return std::make_shared<Impl>(std::move(registry), std::move(books), std::move(options), std::move(host),
                                      metrics, clock);
      }()) {
  {
    MutexLock lock(impl_->mutex);
    impl_->Publish();
  }
  if (impl_->host != nullptr) impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

ModelStore::~ModelStore() { Stop(); }

void ModelStore::Stop() {
  Close(Refusal(absl::StatusCode::kUnavailable, "DRAINING", "the server stops"));
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
    impl_->changed.NotifyAll();
  }
  if (impl_->thread.joinable()) impl_->thread.join();
}

std::shared_ptr<const ModelRegistry> ModelStore::registry() const {
  MutexLock lock(impl_->mutex);
  return impl_->registry;
}

ModelStanding ModelStore::Standing(const std::string& id) const {
  MutexLock lock(impl_->mutex);
  const ModelEntry& own = impl_->books.Of(id);
  ModelStanding standing{.state = own.state, .loading = own.loading};
  std::vector<SharedModelInfo> neighbours = impl_->books.InMemory();
  std::erase_if(neighbours, [&](const SharedModelInfo& other) {
    const auto both = [&](const ModelMemory& device) {
      return IsHeldOn(*own.info, device) && IsHeldOn(*other, device);
    };
    const auto& memory = impl_->books.memory();
    return other->id == id || std::none_of(memory.begin(), memory.end(), both);
  });
  for (const ModelComponent& part : own.info->components) {
    for (const SharedModelInfo& other : neighbours) {
      const auto same = [&part](const ModelComponent& its) { return AreHeldOnce(part, its); };
      if (std::any_of(other->components.begin(), other->components.end(), same)) {
        standing.shared_with[part.name].push_back(other->id);
      }
    }
  }
  return standing;
}

absl::Status ModelStore::Check(const std::string& id) const {
  MutexLock lock(impl_->mutex);
  return impl_->Refusing(impl_->books.Of(id));
}

int64_t ModelStore::Acquire(const std::string& id, CancelCall cancel, OnLease on_lease) {
  ModelLease lease;
  absl::Status refused;
  int64_t ticket = 0;
  {
    MutexLock lock(impl_->mutex);
    ModelEntry& entry = impl_->books.Of(id);
    refused = impl_->Refusing(entry);
    ticket = ++impl_->last_ticket;
    if (refused.ok() && entry.state == ModelState::kReady) {
      lease = impl_->Lend(entry, ticket, std::move(cancel));
    } else if (refused.ok()) {
      entry.waiting.push_back({.ticket = ticket, .cancel = std::move(cancel), .on_lease = std::move(on_lease)});
      if (entry.state == ModelState::kUnloaded || entry.state == ModelState::kFailed) {
        impl_->books.Want(entry, impl_->clock.Now());
      }
      impl_->changed.NotifyAll();
      return ticket;
    }
  }
  if (!refused.ok()) {
    std::move(on_lease)(refused);
  } else {
    std::move(on_lease)(std::move(lease));
  }
  return ticket;
}

void ModelStore::Abandon(int64_t ticket) {
  std::vector<WaitingCall> gone;  // whose destructors may call back
  MutexLock lock(impl_->mutex);
  for (ModelEntry& entry : impl_->books.entries()) {
    const auto found = std::find_if(entry.waiting.begin(), entry.waiting.end(),
                                    [ticket](const WaitingCall& call) { return call.ticket == ticket; });
    if (found == entry.waiting.end()) continue;
    gone.push_back(std::move(*found));
    entry.waiting.erase(found);
    impl_->books.Reconsider(entry);
    return;
  }
}

void ModelStore::Load(const std::string& id, OnDone on_done) {
  absl::StatusOr<int64_t> answer = 0;
  {
    MutexLock lock(impl_->mutex);
    ModelEntry& entry = impl_->books.Of(id);
    if (impl_->closed.has_value()) {
      answer = *impl_->closed;
    } else if (impl_->host == nullptr) {
      answer = absl::UnimplementedError("this engine does not load models while it serves");
    } else if (entry.state != ModelState::kReady) {
      entry.loads.push_back(std::move(on_done));
      // One that leaves, or is to leave once it is there, comes back when it is gone: from its files as they are then.
      if (entry.state == ModelState::kUnloading || entry.unload_next) entry.after_unload = ModelState::kUnloaded;
      if (entry.state != ModelState::kUnloading && entry.state != ModelState::kLoading) {
        impl_->books.Want(entry, impl_->clock.Now());
      }
      impl_->changed.NotifyAll();
      return;
    }
  }
  std::move(on_done)(std::move(answer));
}

void ModelStore::Unload(const std::string& id, absl::Time deadline, bool reload_on_request, OnDone on_done) {
  const ModelState after = reload_on_request ? ModelState::kUnloaded : ModelState::kOff;
  absl::StatusOr<int64_t> answer = 0;
  bool taken = false;
  std::vector<Impl::Answer> answers;
  {
    MutexLock lock(impl_->mutex);
    ModelEntry& entry = impl_->books.Of(id);
    if (impl_->closed.has_value()) {
      answer = *impl_->closed;
    } else if (impl_->host == nullptr) {
      answer = absl::UnimplementedError("this engine does not unload models while it serves");
    } else {
      entry.after_unload = after;
      if (reload_on_request) {
        // Requests that wait are what it comes back for.
        impl_->RefuseLoads(entry, Impl::SwitchedOff(id), answers);
      } else {
        impl_->Refuse(entry, Impl::SwitchedOff(id), answers);
      }
      const bool held = entry.state == ModelState::kReady || entry.state == ModelState::kUnloading;
      if (held || entry.working) {
        entry.unloads.push_back(std::move(on_done));
        entry.unload_at = deadline;
        entry.unload_next = !held;
        if (held) entry.state = ModelState::kUnloading;
      } else {
        entry.unloads.push_back(std::move(on_done));
        impl_->Leave(entry, 0, answers);
      }
      impl_->changed.NotifyAll();
      taken = true;
    }
  }
  if (!taken) return std::move(on_done)(std::move(answer));
  Impl::Give(std::move(answers));
}

void ModelStore::Tend() {
  MutexLock lock(impl_->mutex);
  impl_->changed.NotifyAll();
}

void ModelStore::Close(const absl::Status& reason) {
  std::vector<Impl::Answer> answers;
  {
    MutexLock lock(impl_->mutex);
    if (impl_->closed.has_value()) return;
    impl_->closed = reason;
    for (ModelEntry& entry : impl_->books.entries()) {
      impl_->Refuse(entry, reason, answers);
      Impl::AnswerUnloads(entry, reason, answers);
      impl_->books.Reconsider(entry);
    }
  }
  Impl::Give(std::move(answers));
}

bool ModelStore::busy() const {
  MutexLock lock(impl_->mutex);
  return std::any_of(impl_->books.entries().begin(), impl_->books.entries().end(),
                     [](const ModelEntry& entry) { return entry.working; });
}

}  // namespace stepcast

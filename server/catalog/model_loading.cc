#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/low_priority.h"
#include "server/catalog/model_store_impl.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

constexpr absl::Duration kRetryFailed = absl::Seconds(30);

}  // namespace

void ModelStore::Impl::AnswerUnloads(ModelEntry& entry, absl::StatusOr<int64_t> freed, std::vector<Answer>& answers) {
  for (OnDone& on_done : std::exchange(entry.unloads, {})) {
    answers.push_back([freed, on_done = std::move(on_done)]() mutable { std::move(on_done)(freed); });
  }
}

void ModelStore::Impl::Leave(ModelEntry& entry, int64_t freed, std::vector<Answer>& answers) {
  entry.state = entry.after_unload;
  AnswerUnloads(entry, freed, answers);
  if (entry.state == ModelState::kUnloaded && (!entry.waiting.empty() || !entry.loads.empty())) {
    books.Want(entry, clock.Now());
  }
}

void ModelStore::Impl::Run() {
  LowerOwnPriority();
  while (true) {
    std::optional<ModelTask> task;
    {
      MutexLock lock(mutex);
      while (!stopping && !(task = books.Next(clock.Now())).has_value()) changed.Wait(mutex);
      if (stopping) return;
      books.Of(task->id).working = true;
    }
    Do(*task);
  }
}

void ModelStore::Impl::Do(const ModelTask& task) {
  switch (task.kind) {
    case ModelTask::Kind::kInspect:
      return Inspect(task.id);
    case ModelTask::Kind::kLoad:
      return Load(task.id);
    case ModelTask::Kind::kUnload:
      return Unload(task.id);
    case ModelTask::Kind::kCancelHolders:
      return CancelHolders(task.id);
    case ModelTask::Kind::kTooLarge:
      break;
  }
  std::string why;
  {
    MutexLock lock(mutex);
    why = books.WhyNever(books.Of(task.id));
  }
  OnFailed(task.id, absl::FailedPreconditionError(why));
}

void ModelStore::Impl::Inspect(const std::string& id) {
  absl::StatusOr<SharedModelInfo> info = host->Inspect(id);
  info.ok() ? OnInspected(id, *std::move(info)) : OnFailed(id, info.status());
}

void ModelStore::Impl::Load(const std::string& id) {
  const absl::Time start = clock.Now();
  absl::StatusOr<HostedModel> model = host->Load(id);
  if (!model.ok()) return OnFailed(id, model.status());
  if (HasOutgrown(id, model->info)) {
    host->Unload(id);
    return OnInspected(id, model->info);
  }
  absl::StatusOr<RegisteredModel> registered = options.admit(model->info);
  if (!registered.ok()) {
    host->Unload(id);
    return OnFailed(id, registered.status());
  }
  OnLoaded(id, *std::move(model), *std::move(registered), clock.Now() - start);
}

// Whether the files have become more than there was room made for.
bool ModelStore::Impl::HasOutgrown(const std::string& id, const SharedModelInfo& info) {
  MutexLock lock(mutex);
  std::vector<SharedModelInfo> others = books.InMemory();
  std::erase_if(others, [&id](const SharedModelInfo& other) { return other->id == id; });
  return !DescribeTooLarge(info, others, books.memory()).empty();
}

// What it needs is known; room is made next.
void ModelStore::Impl::OnInspected(const std::string& id, SharedModelInfo info) {
  std::vector<Answer> answers;
  {
    MutexLock lock(mutex);
    ModelEntry& entry = books.Of(id);
    entry.info = std::move(info);
    entry.inspected = true;
    entry.working = false;
    if (!std::exchange(entry.unload_next, false)) return books.Reconsider(entry);
    Leave(entry, 0, answers);
  }
  Give(std::move(answers));
}

void ModelStore::Impl::OnLoaded(const std::string& id, HostedModel model, RegisteredModel registered,
                                absl::Duration took) {
  for (const std::string& note : model.notes) Log(LogLevel::kInfo, absl::StrCat("model '", id, "': ", note));
  for (const std::string& warning : model.warnings)
    Log(LogLevel::kWarning, absl::StrCat("model '", id, "': ", warning));
  Log(LogLevel::kInfo, "model loaded",
      {{"model", id},
       {"seconds", absl::ToDoubleSeconds(took)},
       {"bytes", WeightBytes(*model.info)},
       {"sha256", model.info->sha256}});
  if (options.on_loaded) options.on_loaded(*model.info);
  metrics.CountLoad(id, /*loaded=*/true);
  metrics.SetInfo(*model.info);
  std::vector<Answer> answers;
  {
    MutexLock lock(mutex);
    registry = std::make_shared<const ModelRegistry>(registry->Replace(std::move(registered)));
    ModelEntry& entry = books.Of(id);
    entry.info = std::move(model.info);
    entry.working = false;
    entry.ready_since = entry.last_use = clock.Now();
    entry.load_took = took;
    if (std::exchange(entry.unload_next, false)) {
      entry.state = ModelState::kUnloading;
    } else {
      entry.state = ModelState::kReady;
      for (WaitingCall& call : std::exchange(entry.waiting, {})) {
        ModelLease lease = Lend(entry, call.ticket, std::move(call.cancel));
        answers.push_back([lease = std::move(lease), on_lease = std::move(call.on_lease)]() mutable {
          std::move(on_lease)(std::move(lease));
        });
      }
      for (OnDone& on_done : std::exchange(entry.loads, {})) {
        answers.push_back([on_done = std::move(on_done)]() mutable { std::move(on_done)(0); });
      }
    }
    Publish();
  }
  Give(std::move(answers));
}

void ModelStore::Impl::OnFailed(const std::string& id, const absl::Status& why) {
  Log(LogLevel::kError, "model not loaded", {{"model", id}, {"cause", std::string(why.message())}});
  metrics.CountLoad(id, /*loaded=*/false);
  std::vector<Answer> answers;
  {
    MutexLock lock(mutex);
    ModelEntry& entry = books.Of(id);
    entry.working = false;
    if (std::exchange(entry.unload_next, false)) {
      Leave(entry, 0, answers);
    } else {
      entry.retry_at = clock.Now() + kRetryFailed;
      entry.state = ModelState::kFailed;
      // Whoever loads by hand may know the cause.
      RefuseLoads(entry, WithReason(absl::UnavailableError(why.message()), "MODEL_FAILED"), answers);
      Refuse(entry, Failed(id, kRetryFailed), answers);
    }
    Publish();
  }
  Give(std::move(answers));
}

void ModelStore::Impl::Unload(const std::string& id) {
  host->Unload(id);
  Log(LogLevel::kInfo, "model unloaded", {{"model", id}});
  std::vector<Answer> answers;
  {
    MutexLock lock(mutex);
    ModelEntry& entry = books.Of(id);
    const std::vector<SharedModelInfo> with = books.InMemory();
    entry.working = false;
    entry.state = entry.after_unload;
    const std::vector<SharedModelInfo> without = books.InMemory();
    int64_t freed = 0;
    for (const ModelMemory& device : books.memory()) freed += WeightBytes(with, device) - WeightBytes(without, device);
    Leave(entry, freed, answers);
    metrics.CountUnload(id);
    Publish();
  }
  Give(std::move(answers));
}

void ModelStore::Impl::CancelHolders(const std::string& id) {
  std::vector<CancelCall> calls;
  absl::Status why;
  {
    MutexLock lock(mutex);
    ModelEntry& entry = books.Of(id);
    entry.working = false;
    why = entry.after_unload == ModelState::kOff ? SwitchedOff(id) : TakenAway(id);
    for (const auto& [ticket, cancel] : entry.holders) calls.push_back(cancel);
  }
  for (const CancelCall& cancel : calls) cancel(why);
}

}  // namespace stepcast

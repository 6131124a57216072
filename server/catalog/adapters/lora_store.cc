#include "server/catalog/adapters/lora_store.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/low_priority.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(5);

absl::Status Refusal(absl::StatusCode code, const char* reason, const std::string& message) {
  return WithRetryDelay(WithReason(absl::Status(code, message), reason), kRetry);
}

absl::Status NoRoom(const LoraInfo& lora) {
  return Refusal(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY",
                 absl::StrCat("LoRA ", lora.name, " finds no room beside those in use (loras_budget)"));
}

}  // namespace

struct LoraStore::Impl : std::enable_shared_from_this<Impl> {
  struct Held {
    int64_t bytes = 0;
    int users = 0;
    int64_t last_use = 0;  // counted
  };
  struct Wish {
    SharedModelInfo model;
    std::vector<SharedLoraInfo> loras;
    OnLease on_lease;
  };

  Impl(LoraCatalog& the_catalog, LoraHost* the_host, int64_t the_budget, LoraMetrics& the_metrics)
      : catalog(the_catalog), host(the_host), budget(the_budget), metrics(the_metrics) {}

  void Run();
  absl::Status Load(const Wish& wish);
  absl::Status LoadOne(const SharedLoraInfo& lora, const SharedModelInfo& model, const std::string& key);
  // Makes those leave that nobody uses, the longest unused first. False: there is no room.
  bool MakeRoom(int64_t bytes);
  static std::vector<std::string> KeysOf(const Wish& wish);
  bool HasAll(const std::vector<std::string>& keys) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  LoraLease Lend(const std::vector<std::string>& keys) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Return(const std::vector<std::string>& keys);
  int64_t Bytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  LoraCatalog& catalog;
  LoraHost* const host;
  const int64_t budget;
  LoraMetrics& metrics;

  Mutex mutex;
  CondVar changed;
  std::map<std::string, Held> held ABSL_GUARDED_BY(mutex);
  std::deque<Wish> wishes ABSL_GUARDED_BY(mutex);
  int64_t uses ABSL_GUARDED_BY(mutex) = 0;
  bool look ABSL_GUARDED_BY(mutex) = false;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
};

std::vector<std::string> LoraStore::Impl::KeysOf(const Wish& wish) {
  std::vector<std::string> keys;
  for (const SharedLoraInfo& lora : wish.loras) keys.push_back(LoraKey(*wish.model, lora->sha256));
  return keys;
}

bool LoraStore::Impl::HasAll(const std::vector<std::string>& keys) const {
  return std::all_of(keys.begin(), keys.end(), [this](const std::string& key) { return held.contains(key); });
}

int64_t LoraStore::Impl::Bytes() const {
  int64_t bytes = 0;
  for (const auto& [key, each] : held) bytes += each.bytes;
  return bytes;
}

LoraLease LoraStore::Impl::Lend(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    Held& lent = held.at(key);
    ++lent.users;
    lent.last_use = ++uses;
  }
  return {static_cast<const void*>(this), [self = shared_from_this(), keys](const void*) { self->Return(keys); }};
}

void LoraStore::Impl::Return(const std::vector<std::string>& keys) {
  MutexLock lock(mutex);
  for (const std::string& key : keys) --held.at(key).users;
}

bool LoraStore::Impl::MakeRoom(int64_t bytes) {
  std::vector<std::string> leaving;
  bool room = false;
  {
    MutexLock lock(mutex);
    int64_t taken = Bytes();
    while (!(room = bytes <= budget - taken)) {
      auto oldest = held.end();
      for (auto each = held.begin(); each != held.end(); ++each) {
        const bool older = oldest == held.end() || each->second.last_use < oldest->second.last_use;
        if (each->second.users == 0 && older) oldest = each;
      }
      if (oldest == held.end()) break;
      taken -= oldest->second.bytes;
      leaving.push_back(oldest->first);
      held.erase(oldest);
    }
    metrics.SetHeld(static_cast<int64_t>(held.size()), taken);
  }
  for (const std::string& key : leaving) host->Unload(key);
  return room;
}

absl::Status LoraStore::Impl::LoadOne(const SharedLoraInfo& lora, const SharedModelInfo& model,
                                      const std::string& key) {
  if (!MakeRoom(lora->bytes)) return NoRoom(*lora);
  const absl::StatusOr<int64_t> bytes = host->Load(*lora, *model);
  metrics.CountLoad(bytes.ok());
  if (!bytes.ok()) {
    Log(LogLevel::kError, "LoRA not loaded",
        {{"lora", lora->name}, {"model", model->id}, {"cause", std::string(bytes.status().message())}});
    return Refusal(absl::StatusCode::kUnavailable, "MODEL_FAILED",
                   absl::StrCat("LoRA ", lora->name, " could not be loaded; the server's log says why"));
  }
  // Layers may compute in what takes more room than the file. Nobody has it before there is room for all of it.
  if (!MakeRoom(*bytes)) {
    host->Unload(key);
    return NoRoom(*lora);
  }
  {
    MutexLock lock(mutex);
    held[key] = {.bytes = *bytes, .users = 0, .last_use = ++uses};
    metrics.SetHeld(static_cast<int64_t>(held.size()), Bytes());
  }
  Log(LogLevel::kInfo, "LoRA loaded", {{"lora", lora->name}, {"model", model->id}, {"bytes", *bytes}});
  return absl::OkStatus();
}

// Those that are there already are lent while the others are read, so that they stay.
absl::Status LoraStore::Impl::Load(const Wish& wish) {
  const std::vector<std::string> keys = KeysOf(wish);
  std::vector<LoraLease> meanwhile;
  for (size_t i = 0; i < keys.size(); ++i) {
    bool there = false;
    {
      MutexLock lock(mutex);
      there = held.contains(keys[i]);
      if (there) meanwhile.push_back(Lend({keys[i]}));
    }
    if (there) continue;
    if (const absl::Status loaded = LoadOne(wish.loras[i], wish.model, keys[i]); !loaded.ok()) return loaded;
    MutexLock lock(mutex);
    meanwhile.push_back(Lend({keys[i]}));
  }
  return absl::OkStatus();
}

void LoraStore::Impl::Run() {
  LowerOwnPriority();
  while (true) {
    Wish wish;
    {
      MutexLock lock(mutex);
      while (!stopping && !look && wishes.empty()) changed.Wait(mutex);
      if (stopping) return;
      if (!wishes.empty()) {
        wish = std::move(wishes.front());
        wishes.pop_front();
      }
      if (wish.model == nullptr) look = false;
    }
    if (wish.model == nullptr) {
      catalog.Refresh();
      continue;
    }
    const absl::Status loaded = Load(wish);
    absl::StatusOr<LoraLease> lease = LoraLease();
    if (loaded.ok()) {
      MutexLock lock(mutex);
      lease = Lend(KeysOf(wish));
    } else {
      lease = loaded;
    }
    std::move(wish.on_lease)(std::move(lease));
  }
}

LoraStore::LoraStore(LoraCatalog& catalog, LoraHost* host, int64_t budget, LoraMetrics& metrics)
    : impl_(std::make_shared<Impl>(catalog, host, budget, metrics)) {
  if (host != nullptr) thread_ = std::thread([impl = impl_.get()] { impl->Run(); });
}

LoraStore::~LoraStore() { Stop(); }

void LoraStore::Stop() {
  std::deque<Impl::Wish> refused;
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
    refused.swap(impl_->wishes);
    impl_->changed.NotifyAll();
  }
  for (Impl::Wish& wish : refused) {
    std::move(wish.on_lease)(Refusal(absl::StatusCode::kUnavailable, "DRAINING", "the server stops"));
  }
  if (thread_.joinable()) thread_.join();
}

void LoraStore::Acquire(SharedModelInfo model, std::vector<SharedLoraInfo> loras, OnLease on_lease) {
  Impl::Wish wish{.model = std::move(model), .loras = std::move(loras), .on_lease = std::move(on_lease)};
  const std::vector<std::string> keys = Impl::KeysOf(wish);
  absl::StatusOr<LoraLease> lease = LoraLease();
  {
    MutexLock lock(impl_->mutex);
    if (impl_->stopping) {
      lease = Refusal(absl::StatusCode::kUnavailable, "DRAINING", "the server stops");
    } else if (impl_->HasAll(keys)) {
      lease = impl_->Lend(keys);
      impl_->metrics.CountHits(static_cast<int64_t>(keys.size()));
    } else {
      impl_->wishes.push_back(std::move(wish));
      impl_->changed.NotifyAll();
      return;
    }
  }
  std::move(wish.on_lease)(std::move(lease));
}

void LoraStore::Tend() {
  MutexLock lock(impl_->mutex);
  impl_->look = true;
  impl_->changed.NotifyAll();
}

}  // namespace stepcast

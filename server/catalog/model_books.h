#pragma once
// What a ModelStore knows of each model, and what is to be done next. No thread, no lock, no files.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/model_memory.h"
#include "server/catalog/model_store.h"

namespace stepcast {

// A call that waits for its model.
struct WaitingCall {
  int64_t ticket = 0;
  ModelStore::CancelCall cancel;
  ModelStore::OnLease on_lease;
};

// One model.
struct ModelEntry {
  std::string id;
  SharedModelInfo info;  // as it was last read
  ModelLoading loading = ModelLoading::kEager;
  ModelState state = ModelState::kReady;
  std::map<int64_t, ModelStore::CancelCall> holders = {};  // by ticket
  std::vector<WaitingCall> waiting = {};
  std::vector<ModelStore::OnDone> loads = {};    // by hand
  std::vector<ModelStore::OnDone> unloads = {};  // by hand
  absl::Time last_use = absl::InfinitePast();
  absl::Time ready_since = absl::InfinitePast();
  absl::Duration load_took = {};
  absl::Time wanted_since = {};                     // kLoading: its place among those that wait
  bool inspected = false;                           // kLoading: `info` is of this load
  absl::Time retry_at = absl::InfinitePast();       // kFailed
  absl::Time unload_at = absl::InfiniteFuture();    // kUnloading: when its holders are cancelled
  ModelState after_unload = ModelState::kUnloaded;  // kUnloading
  bool working = false;                             // the thread is at it
  bool unload_next = false;                         // an operator wants it gone although it is being loaded
};

// The next thing for the thread that loads.
struct ModelTask {
  enum class Kind { kInspect, kLoad, kUnload, kCancelHolders, kTooLarge };
  Kind kind = Kind::kLoad;
  std::string id;
};

// Thread-safety: none; the store locks.
class ModelBooks {
 public:
  ModelBooks(std::vector<ModelEntry> entries, std::vector<ModelMemory> memory)
      : entries_(std::move(entries)), memory_(std::move(memory)) {}

  ModelEntry& Of(const std::string& id);
  const ModelEntry& Of(const std::string& id) const;
  std::vector<ModelEntry>& entries() { return entries_; }
  const std::vector<ModelEntry>& entries() const { return entries_; }
  const std::vector<ModelMemory>& memory() const { return memory_; }

  // Puts a model that is not in memory among those that are wanted there.
  void Want(ModelEntry& entry, absl::Time now);
  // Nobody may want it any more.
  void Reconsider(ModelEntry& entry) const;

  // What can be done now; nullopt: nothing. A load that finds no room makes those leave that may.
  std::optional<ModelTask> Next(absl::Time now);

  // Those whose weights are in memory, or will be in a moment.
  std::vector<SharedModelInfo> InMemory() const;
  // Why `entry` does not fit beside those that never leave, in words; "": it does.
  std::string WhyNever(const ModelEntry& entry) const;

 private:
  bool Bounded() const;
  std::vector<ResidentModel> Residents() const;
  // True: there is room. False: somebody leaves, or nobody may.
  bool MakeRoom(const ModelEntry& newcomer, absl::Time now);
  void CloseBusy(const ModelEntry& newcomer, absl::Time now);

  std::vector<ModelEntry> entries_;
  const std::vector<ModelMemory> memory_;
};

}  // namespace stepcast

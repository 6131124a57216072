#pragma once
// Which LoRAs are in memory: who uses one now, who waits for one, and which leaves for another.

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "core/lora_info.h"
#include "core/mutex.h"
#include "server/catalog/adapters/lora_catalog.h"
#include "server/telemetry/lora_metrics.h"

namespace stepcast {

// While somebody has it, its LoRAs stay in memory.
using LoraLease = std::shared_ptr<const void>;

// A call takes a lease before it submits jobs and keeps it until they have ended. A thread of its own, at low priority,
// reads one LoRA after the other, so that no tick waits for a disk; the longest unused ones make room. It also looks at
// the catalogue's folders.
//
// Thread-safety: all methods may be called from any thread; none waits for a load but Stop.
class LoraStore {
 public:
  using OnLease = absl::AnyInvocable<void(absl::StatusOr<LoraLease>) &&>;

  // `host` null: nothing is ever loaded. `budget`: bytes that LoRAs may take on each device. All must outlive the
  // store.
  LoraStore(LoraCatalog& catalog, LoraHost* host, int64_t budget, LoraMetrics& metrics);
  // Stops.
  ~LoraStore();

  // Calls back once: at once where all of `loras` are in memory beside `model`, else from the store's thread. Errors,
  // with their reason: RESOURCE_EXHAUSTED (DEVICE_MEMORY) where those in use leave no room; UNAVAILABLE (MODEL_FAILED,
  // DRAINING). REQUIRES: `model` is in memory, and leased for as long; each of `loras` goes with it.
  void Acquire(SharedModelInfo model, std::vector<SharedLoraInfo> loras, OnLease on_lease);

  // Has the folders looked at; meant for once a second.
  void Tend();

  // Whoever waits is refused; waits for the load that runs. Idempotent.
  void Stop();

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;  // leases outlive the store
  std::thread thread_;                // the store's own; last
};

}  // namespace stepcast

#pragma once
// Models going into memory and out of it, as whoever decides that sees the engine.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/lora_info.h"
#include "core/model_info.h"

namespace stepcast {

// When a model is in memory.
enum class ModelLoading {
  kEager,     // from the start, until others need the room
  kOnDemand,  // from its first request, likewise
  kPinned,    // from the start, for good
};

inline constexpr int64_t kNoMemoryBudget = std::numeric_limits<int64_t>::max();

// Memory that models are held in: a device's.
struct ModelMemory {
  std::string device;                // "cpu", "cuda:0"
  std::vector<std::string> loops;    // names of the loops that compute there
  int64_t budget = kNoMemoryBudget;  // bytes that weights may take
};

// A model that is in memory.
struct HostedModel {
  SharedModelInfo info;
  std::vector<std::string> notes = {};     // for the log
  std::vector<std::string> warnings = {};  // for the log
};

// Reads models and frees them while others paint. What a model is, is read from its files each time.
//
// Thread-safety: one thread at a time. Calls take as long as disks do.
class ModelHost {
 public:
  virtual ~ModelHost() = default;

  // All that is known of a model without holding it, with the bytes and the identity of its parts. Reads every byte the
  // first time. Errors: as of loading it.
  virtual absl::StatusOr<SharedModelInfo> Inspect(const std::string& id) = 0;

  // Holds the model on its devices: executors take its jobs from now on. REQUIRES: it is not held.
  // Errors: NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION naming the file and the remedy; RESOURCE_EXHAUSTED.
  // Nothing is held then.
  virtual absl::StatusOr<HostedModel> Load(const std::string& id) = 0;

  // Frees the model; returns once its memory is free. REQUIRES: nobody submits its jobs any more; of those that have
  // ended the executor may still keep something, and that is waited for.
  virtual void Unload(const std::string& id) = 0;

  // Who reads LoRAs, and lives as long; null: nobody.
  virtual LoraHost* loras() { return nullptr; }
};

}  // namespace stepcast

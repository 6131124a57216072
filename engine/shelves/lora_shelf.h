#pragma once
// The LoRAs that a device holds.

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "core/mutex.h"
#include "engine/job/job_lora.h"
#include "sampling/recipe/recipe.h"

namespace stepcast::engine {

// By LoraKey. Executors look here when a job starts, which keeps what it found until its end.
//
// Thread-safety: all methods may be called from any thread.
class LoraShelf {
 public:
  // Null when there is none.
  SharedLora Find(const std::string& key) const;
  void Put(const std::string& key, SharedLora lora);
  void Remove(const std::string& key);

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, SharedLora> loras_ ABSL_GUARDED_BY(mutex_);
};

// Puts the LoRAs that `recipe` names into `taken`. Errors: NOT_FOUND for one that is not on `shelf` (null: none is).
absl::Status TakeLoras(const sampling::Recipe& recipe, const LoraShelf* shelf,
                       std::map<std::string, SharedLora>& taken);

}  // namespace stepcast::engine

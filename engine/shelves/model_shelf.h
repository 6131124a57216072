#pragma once
// The models that a device holds at the moment.

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "core/mutex.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

using SharedBundle = std::shared_ptr<const model::ModelBundle>;

// By id. Executors look here when a job starts, which keeps what it found until its end; no step looks again.
//
// Thread-safety: all methods may be called from any thread.
class ModelShelf {
 public:
  // Null when there is none.
  SharedBundle Find(const std::string& id) const;

  // REQUIRES: none of that id is here.
  void Put(SharedBundle bundle);

  // Null when there is none.
  SharedBundle Take(const std::string& id);

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, SharedBundle> bundles_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast::engine

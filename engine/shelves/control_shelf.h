#pragma once
// The ControlNets that a device holds.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "core/control_net_info.h"
#include "core/mutex.h"
#include "engine/job/encoded_picture.h"
#include "model/control/control_net.h"
#include "sampling/recipe/stage.h"

namespace stepcast::engine {

// A net on the device.
struct ShelvedControlNet {
  ControlNetInfo info;
  std::shared_ptr<const model::ControlNet> net;
};
using SharedControlNet = std::shared_ptr<const ShelvedControlNet>;

// By id. Executors look here when a job starts, which keeps what it found until its end.
//
// Thread-safety: all methods may be called from any thread.
class ControlShelf {
 public:
  // Null when there is none.
  SharedControlNet Find(const std::string& id) const;

  // Those that go with a model of that shape, by id.
  std::vector<SharedControlNet> Fitting(const std::optional<ControlShape>& shape) const;

  // REQUIRES: none of that id is here.
  void Put(SharedControlNet net);

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, SharedControlNet> nets_ ABSL_GUARDED_BY(mutex_);
};

// The embeddings of hints of the nets on `shelf`; empty where it is null.
HintFinder HintsOf(std::shared_ptr<const ControlShelf> shelf);

// Whether what controls `stage` is on `shelf` (null: nothing is), goes with its model and is told what it has to be.
// Errors: NOT_FOUND, INVALID_ARGUMENT.
absl::Status CheckControl(const sampling::Stage& stage, const ControlShelf* shelf);

}  // namespace stepcast::engine

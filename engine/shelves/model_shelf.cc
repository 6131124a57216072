#include "engine/shelves/model_shelf.h"

#include <utility>

namespace stepcast::engine {

SharedBundle ModelShelf::Find(const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = bundles_.find(id);
  return found == bundles_.end() ? nullptr : found->second;
}

void ModelShelf::Put(SharedBundle bundle) {
  const std::string id = bundle->info()->id;
  MutexLock lock(mutex_);
  bundles_[id] = std::move(bundle);
}

SharedBundle ModelShelf::Take(const std::string& id) {
  MutexLock lock(mutex_);
  const auto found = bundles_.find(id);
  if (found == bundles_.end()) return nullptr;
  SharedBundle bundle = std::move(found->second);
  bundles_.erase(found);
  return bundle;
}

}  // namespace stepcast::engine

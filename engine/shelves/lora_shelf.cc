#include "engine/shelves/lora_shelf.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::engine {

SharedLora LoraShelf::Find(const std::string& key) const {
  MutexLock lock(mutex_);
  const auto found = loras_.find(key);
  return found == loras_.end() ? nullptr : found->second;
}

void LoraShelf::Put(const std::string& key, SharedLora lora) {
  MutexLock lock(mutex_);
  loras_[key] = std::move(lora);
}

void LoraShelf::Remove(const std::string& key) {
  SharedLora last;  // freed without the lock
  MutexLock lock(mutex_);
  const auto found = loras_.find(key);
  if (found == loras_.end()) return;
  last = std::move(found->second);
  loras_.erase(found);
}

absl::Status TakeLoras(const sampling::Recipe& recipe, const LoraShelf* shelf,
                       std::map<std::string, SharedLora>& taken) {
  const auto take = [&](const std::string& key) -> absl::Status {
    SharedLora& lora = taken[key];
    if (lora == nullptr && shelf != nullptr) lora = shelf->Find(key);
    return lora != nullptr ? absl::OkStatus() : absl::NotFoundError(absl::StrCat("LoRA ", key, " is not loaded"));
  };
  for (const sampling::Stage& stage : recipe.stages) {
    for (const sampling::StageLora& lora : stage.loras) STEPCAST_RETURN_IF_ERROR(take(lora.key));
  }
  for (const ConditioningInput& input : recipe.conditionings) {
    for (const TextLora& lora : input.loras) STEPCAST_RETURN_IF_ERROR(take(lora.key));
  }
  return absl::OkStatus();
}

}  // namespace stepcast::engine

#include "server/call/upload_budget.h"

namespace stepcast {

void UploadBudget::Share::ShrinkTo(int64_t bytes) {
  if (budget_ == nullptr || bytes >= bytes_) return;
  budget_->GiveBack(bytes_ - bytes);
  bytes_ = bytes;
}

std::optional<UploadBudget::Share> UploadBudget::TryTake(int64_t bytes) {
  MutexLock lock(mutex_);
  if (bytes > limit_ - held_) return std::nullopt;
  held_ += bytes;
  on_change_(held_);
  return Share(shared_from_this(), bytes);
}

int64_t UploadBudget::held() const {
  MutexLock lock(mutex_);
  return held_;
}

void UploadBudget::GiveBack(int64_t bytes) {
  MutexLock lock(mutex_);
  held_ -= bytes;
  on_change_(held_);
}

}  // namespace stepcast

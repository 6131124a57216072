#pragma once
// How much memory the pictures of all requests may take together.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"

namespace stepcast {

// Counts bytes.
//
// Thread-safety: all methods may be called from any thread.
class UploadBudget : public std::enable_shared_from_this<UploadBudget> {
 public:
  // A number of bytes, given back when it goes.
  class Share {
   public:
    Share() = default;
    Share(std::shared_ptr<UploadBudget> budget, int64_t bytes) : budget_(std::move(budget)), bytes_(bytes) {}
    Share(Share&& other) noexcept : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() { ShrinkTo(0); }

    int64_t bytes() const { return bytes_; }

    // Gives back what is beyond `bytes`.
    void ShrinkTo(int64_t bytes);

   private:
    std::shared_ptr<UploadBudget> budget_;
    int64_t bytes_ = 0;
  };

  // Is to be held by a shared_ptr: its shares hold it. `on_change` hears, with the lock held, what is held.
  explicit UploadBudget(
      int64_t bytes, std::function<void(int64_t)> on_change = [](int64_t) {})
      : limit_(bytes), on_change_(std::move(on_change)) {}

  // nullopt where that would be more than there is.
  std::optional<Share> TryTake(int64_t bytes);

  int64_t held() const;
  int64_t limit() const { return limit_; }

 private:
  void GiveBack(int64_t bytes);

  const int64_t limit_;
  const std::function<void(int64_t)> on_change_;
  mutable Mutex mutex_;
  int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace stepcast

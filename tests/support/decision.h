#pragma once
// An answer that comes from another thread, for a test to wait for.

#include <gtest/gtest.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/await.h"

namespace stepcast {

// REQUIRES: outlives the callback's call.
template <typename T>
class Decision {
 public:
  auto Callback() {
    return [this](absl::StatusOr<T> answer) {
      answer_ = std::move(answer);
      done_.Notify();
    };
  }
  bool made() const { return done_.notified(); }
  const absl::StatusOr<T>& Get() {
    EXPECT_TRUE(done_.Await());
    return answer_;
  }

 private:
  absl::StatusOr<T> answer_ = absl::UnknownError("undecided");
  Notification done_;
};

}  // namespace stepcast

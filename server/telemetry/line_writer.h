#pragma once
// Lines to a descriptor that may be slow, or blocked for good: nobody who writes one waits.

#include <cstdint>
#include <deque>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "core/mutex.h"

namespace stepcast {

// A bounded queue and a thread that writes it out. Where there is no room a line is dropped and counted. Lives for
// ever: its thread may be stuck in a write when the process ends.
//
// Thread-safety: all methods may be called from any thread.
class LineWriter {
 public:
  static constexpr size_t kMaxLines = 8192;
  static constexpr size_t kMaxBytes = 4 << 20;

  // Begins a thread that writes to `fd`.
  static LineWriter& Start(int fd);

  void Write(std::string line);

  // Waits until everything is written. Returns false after `patience`.
  bool Flush(absl::Duration patience);

  int64_t dropped() const;

 private:
  explicit LineWriter(int fd) : fd_(fd) {}
  void Run();

  const int fd_;
  mutable Mutex mutex_;
  CondVar filled_;
  CondVar emptied_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mutex_);  // the first is being written
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace stepcast

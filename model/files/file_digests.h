#pragma once
// The SHA-256 of files, worked out beside the loading of their weights.

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "model/weights/data_file.h"

namespace stepcast::model {

// Files are read on one thread of its own, in the order in which they were added, while the caller reads their tensors:
// what one of them reads from the disk the other finds in memory. The thread ends with this object.
//
// Thread-safety: used by one thread.
class FileDigests {
 public:
  FileDigests() = default;
  FileDigests(const FileDigests&) = delete;
  FileDigests& operator=(const FileDigests&) = delete;
  // Gives up what is not done.
  ~FileDigests();

  // Starts with `file`, if its path was not added before.
  void Add(std::shared_ptr<const DataFile> file);
  // 64 hex digits; of a path that was not added, now. Waits. Errors: those of reading, and when the file changed.
  absl::StatusOr<std::string> Of(const std::string& path);

 private:
  void Run();

  Mutex mutex_;
  CondVar changed_;
  std::atomic<bool> stop_ = false;
  std::deque<std::shared_ptr<const DataFile>> queue_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> added_;  // paths
  std::map<std::string, absl::StatusOr<std::string>> done_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the rest
};

}  // namespace stepcast::model

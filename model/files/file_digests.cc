#include "model/files/file_digests.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "core/sha256.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

constexpr uint64_t kPiece = 1 << 20;  // bytes; stays in a CPU's cache

absl::StatusOr<std::string> DigestOf(const DataFile& file, const std::atomic<bool>& stop) {
  Sha256 hash;
  std::vector<char> piece(static_cast<size_t>(std::min(kPiece, file.size())));
  for (uint64_t at = 0; at < file.size(); at += piece.size()) {
    if (stop) return absl::CancelledError("given up");
    const auto count = static_cast<size_t>(std::min<uint64_t>(piece.size(), file.size() - at));
    STEPCAST_RETURN_IF_ERROR(file.Read(at, absl::MakeSpan(piece.data(), count)));
    hash.Update(std::string_view(piece.data(), count));
  }
  STEPCAST_RETURN_IF_ERROR(file.CheckUnchanged());
  return hash.HexDigest();
}

}  // namespace

FileDigests::~FileDigests() {
  stop_ = true;
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void FileDigests::Add(std::shared_ptr<const DataFile> file) {
  const MutexLock lock(mutex_);
  if (!added_.insert(file->path()).second) return;
  queue_.push_back(std::move(file));
  changed_.NotifyAll();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

absl::StatusOr<std::string> FileDigests::Of(const std::string& path) {
  if (!added_.contains(path)) {
    STEPCAST_ASSIGN_OR_RETURN(const DataFile file, DataFile::Open(path));
    return DigestOf(file, stop_);
  }
  const MutexLock lock(mutex_);
  while (!done_.contains(path)) changed_.Wait(mutex_);
  return done_.at(path);
}

void FileDigests::Run() {
  while (true) {
    std::shared_ptr<const DataFile> file;
    {
      const MutexLock lock(mutex_);
      while (!stop_ && queue_.empty()) changed_.Wait(mutex_);
      if (stop_) return;
      file = std::move(queue_.front());
      queue_.pop_front();
    }
    absl::StatusOr<std::string> digest = DigestOf(*file, stop_);
    const MutexLock lock(mutex_);
    done_.emplace(file->path(), std::move(digest));
    changed_.NotifyAll();
  }
}

}  // namespace stepcast::model

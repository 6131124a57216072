#include "server/call/upload.h"

#include <utility>

#include "server/request/errors/status_mapping.h"

namespace stepcast {

absl::Status UploadsFull() {
  return MakeError({.reason = v1::ERROR_REASON_QUEUE_FULL,
                    .message = "too many pictures of requests wait to be decoded already; try again later",
                    .retry_after = absl::Seconds(1)});
}

void Upload::Start(CodecPool& pool) {
  if (!pool.TryPost([self = shared_from_this()] { self->Run(); })) Cancel(UploadsFull());
}

void Upload::Run() {
  Work work;
  {
    MutexLock lock(mutex_);
    work = std::exchange(work_, nullptr);
  }
  if (work == nullptr) return;
  absl::StatusOr<StreamRequest> request = std::move(work)([this] { return Wanted(); });
  if (OnDone on_done = TakeEnd(); on_done != nullptr) std::move(on_done)(std::move(request));
}

bool Upload::Wanted() const {
  MutexLock lock(mutex_);
  return on_done_ != nullptr;
}

Upload::OnDone Upload::TakeEnd() {
  MutexLock lock(mutex_);
  return std::exchange(on_done_, nullptr);
}

void Upload::Cancel(const absl::Status& reason) {
  OnDone on_done = TakeEnd();
  if (on_done == nullptr) return;
  Work dropped;  // with the files that it holds
  {
    MutexLock lock(mutex_);
    dropped = std::exchange(work_, nullptr);
  }
  std::move(on_done)(reason);
}

}  // namespace stepcast

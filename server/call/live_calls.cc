#include "server/call/live_calls.h"

#include <vector>

#include "server/call/await_empty.h"

namespace stepcast {

void LiveCalls::Add(const std::shared_ptr<LiveCall>& call) {
  absl::Status closed;
  {
    MutexLock lock(mutex_);
    calls_.insert(call);
    closed = closed_;
  }
  if (!closed.ok()) call->Cancel(closed);
}

void LiveCalls::Remove(const std::shared_ptr<LiveCall>& call) {
  {
    MutexLock lock(mutex_);
    calls_.erase(call);
    if (!calls_.empty()) return;
    emptied_.NotifyAll();
  }
  on_empty_();
}

int LiveCalls::size() const {
  MutexLock lock(mutex_);
  return static_cast<int>(calls_.size());
}

bool LiveCalls::AwaitNone(absl::Duration patience) {
  MutexLock lock(mutex_);
  return AwaitEmpty(calls_, mutex_, emptied_, patience);
}

void LiveCalls::CheckStalls(absl::Time now) {
  std::vector<std::shared_ptr<LiveCall>> calls;
  {
    MutexLock lock(mutex_);
    calls.assign(calls_.begin(), calls_.end());
  }
  for (const std::shared_ptr<LiveCall>& call : calls) call->CheckStall(now);
}

void LiveCalls::Close(const absl::Status& reason) {
  std::vector<std::shared_ptr<LiveCall>> calls;
  {
    MutexLock lock(mutex_);
    if (closed_.ok()) closed_ = reason;
    calls.assign(calls_.begin(), calls_.end());
  }
  for (const std::shared_ptr<LiveCall>& call : calls) call->Cancel(reason);
}

}  // namespace stepcast

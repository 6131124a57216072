#include "codec/codec_pool.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/low_priority.h"
#include "core/mutex.h"

namespace stepcast {
namespace {

using Work = absl::AnyInvocable<void() &&>;

constexpr int kMaxThreads = 64;

}  // namespace

struct CodecPool::Impl {
  explicit Impl(int max_queued) : capacity(static_cast<size_t>(std::max(max_queued, 1))) {}

  // Runs work until stopping and nothing is left.
  void Run() {
    LowerOwnPriority();
    while (true) {
      Work work = Take();
      if (work == nullptr) {
        return;
      }
      std::move(work)();  // and what it holds goes before the next wait
    }
  }

  // Waits for work; nullptr when the pool stops.
  Work Take() {
    MutexLock lock(mutex);
    while (queue.empty() && !stopping) {
      changed.Wait(mutex);
    }
    if (queue.empty()) {
      return nullptr;
    }
    Work work = std::move(queue.front());
    queue.pop_front();
    return work;
  }

  // Returns false, leaving `work` to its owner, when the queue holds `limit` already.
  bool Push(Work& work, size_t limit) {
    {
      MutexLock lock(mutex);
      if (queue.size() >= limit) {
        return false;
      }
      queue.push_back(std::move(work));
    }
    changed.NotifyOne();
    return true;
  }

  const size_t capacity;
  Mutex mutex;
  CondVar changed;
  std::deque<Work> queue ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::thread> threads;  // started last, joined first: they use everything above
};

CodecPool::CodecPool(int threads, int max_queued) : impl_(std::make_unique<Impl>(max_queued)) {
  const int count = std::clamp(threads, 1, kMaxThreads);
  for (int index = 0; index < count; ++index) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->Run(); });
  }
}

CodecPool::~CodecPool() {
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.NotifyAll();
  for (std::thread& thread : impl_->threads) {
    thread.join();
  }
}

bool CodecPool::TryPost(absl::AnyInvocable<void() &&> work) { return impl_->Push(work, impl_->capacity); }

void CodecPool::Post(absl::AnyInvocable<void() &&> work) { impl_->Push(work, static_cast<size_t>(-1)); }

}  // namespace stepcast

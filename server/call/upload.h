#pragma once
// A call whose pictures are being decoded: between receipt and admission.

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "codec/codec_pool.h"
#include "core/mutex.h"
#include "server/call/generation_stream.h"
#include "server/call/live_calls.h"

namespace stepcast {

// The refusal of a request whose pictures there is no room for.
absl::Status UploadsFull();

// Waits for a thread of its pool, prepares its request there and hands it on; or is cancelled meanwhile, and then what
// was prepared is dropped.
//
// Thread-safety: all methods may be called from any thread.
class Upload final : public LiveCall, public std::enable_shared_from_this<Upload> {
 public:
  // Decodes; asks its argument now and then whether anybody still waits. Takes what it needs with it.
  using Work = absl::AnyInvocable<absl::StatusOr<StreamRequest>(std::function<bool()> wanted) &&>;
  using OnDone = absl::AnyInvocable<void(absl::StatusOr<StreamRequest>) &&>;

  // `on_done` is called once, on a thread of the pool or on the one that cancels.
  Upload(Work work, OnDone on_done) : work_(std::move(work)), on_done_(std::move(on_done)) {}

  // Done with QUEUE_FULL where `pool` is full. REQUIRES: called once.
  void Start(CodecPool& pool);

  void Cancel(const absl::Status& reason) override;
  void CheckStall(absl::Time /*now*/) override {}

 private:
  void Run();
  bool Wanted() const;
  // Of those that may end this, the first gets it; the others nullptr.
  OnDone TakeEnd();

  mutable Mutex mutex_;
  Work work_ ABSL_GUARDED_BY(mutex_);
  OnDone on_done_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast

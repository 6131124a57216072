#pragma once
// A call of one answer that comes later, from another thread.

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "core/mutex.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/call/call_record.h"
#include "server/call/live_calls.h"

namespace stepcast {

class UnaryReactor;

// The call while it waits. Outlives its reactor, which lets go when the call is done.
//
// Thread-safety: all methods may be called from any thread.
class UnaryCall final : public LiveCall {
 public:
  // Ends the call, unless it has ended.
  void Answer(const google::protobuf::MessageLite& message);
  void Cancel(const absl::Status& reason) override;
  void CheckStall(absl::Time) override {}

 private:
  friend class UnaryReactor;
  explicit UnaryCall(UnaryReactor* reactor) : reactor_(reactor) {}

  Mutex mutex_;
  UnaryReactor* reactor_ ABSL_GUARDED_BY(mutex_);  // null once finished
};

// gRPC's view; deletes itself in OnDone.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  // `calls` must outlive the call; `response` is gRPC's.
  UnaryReactor(std::unique_ptr<CallRecord> record, LiveCalls& calls, grpc::ByteBuffer& response)
      : record_(std::move(record)), calls_(calls), response_(response) {}

  // Ends the call at once. REQUIRES: not started.
  void Refuse(const absl::Status& status);
  // The call may end before this returns.
  std::shared_ptr<UnaryCall> Start();

  void OnCancel() override;
  void OnDone() override;

 private:
  friend class UnaryCall;
  void End(const absl::Status& status, const google::protobuf::MessageLite* message);

  const std::unique_ptr<CallRecord> record_;
  LiveCalls& calls_;
  grpc::ByteBuffer& response_;       // until Finish
  std::shared_ptr<UnaryCall> call_;  // null for a refused call
};

}  // namespace stepcast

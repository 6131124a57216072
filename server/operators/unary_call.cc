#include "server/operators/unary_call.h"

#include <utility>

#include "server/call/generate_calls.h"

namespace stepcast {

void UnaryCall::Answer(const google::protobuf::MessageLite& message) {
  MutexLock lock(mutex_);
  if (reactor_ != nullptr) std::exchange(reactor_, nullptr)->End(absl::OkStatus(), &message);
}

void UnaryCall::Cancel(const absl::Status& reason) {
  MutexLock lock(mutex_);
  if (reactor_ != nullptr) std::exchange(reactor_, nullptr)->End(reason, nullptr);
}

void UnaryReactor::Refuse(const absl::Status& status) { Finish(record_->Finish({.status = status})); }

std::shared_ptr<UnaryCall> UnaryReactor::Start() {
  call_ = std::shared_ptr<UnaryCall>(new UnaryCall(this));
  const std::shared_ptr<UnaryCall> call = call_;  // the call may end, and this with it, in Add
  calls_.Add(call);
  return call;
}

void UnaryReactor::OnCancel() {
  if (call_ != nullptr) call_->Cancel(absl::CancelledError("cancelled by the client"));
}

void UnaryReactor::OnDone() {
  if (call_ != nullptr) calls_.Remove(call_);
  delete this;
}

void UnaryReactor::End(const absl::Status& status, const google::protobuf::MessageLite* message) {
  int64_t bytes = 0;
  if (message != nullptr) {
    ToBytes(*message, response_);
    bytes = static_cast<int64_t>(response_.Length());
  }
  Finish(record_->Finish({.status = status, .admitted = true, .bytes = bytes}));
}

}  // namespace stepcast

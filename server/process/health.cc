#include "server/process/health.h"

#include <optional>
#include <utility>
#include <vector>

#include "server/call/await_empty.h"
#include "server/call/generate_calls.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"

namespace stepcast {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

namespace {

class WatchReactor;

// Names of services are short; a Watch keeps its own for as long as it is open.
constexpr int64_t kMaxRequestBytes = 1024;

grpc::ByteBuffer Answer(HealthCheckResponse::ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  grpc::ByteBuffer bytes;
  ToBytes(response, bytes);
  return bytes;
}

}  // namespace

// One Watch call as the state sees it. Outlives its reactor: the reactor lets go when the call is done.
//
// Thread-safety: all methods may be called from any thread.
class HealthWatch {
 public:
  HealthWatch(std::string name, WatchReactor* reactor) : name_(std::move(name)), reactor_(reactor) {}

  const std::string& name() const { return name_; }

  // Writes `status` unless the client knows it; while a write is under way only the newest waits.
  void Tell(HealthCheckResponse::ServingStatus status) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWritten(bool ok) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  Mutex mutex_;
  WatchReactor* reactor_ ABSL_GUARDED_BY(mutex_);  // null once finished
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<HealthCheckResponse::ServingStatus> told_ ABSL_GUARDED_BY(mutex_);
  std::optional<HealthCheckResponse::ServingStatus> next_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer message_ ABSL_GUARDED_BY(mutex_);
};

namespace {

class WatchReactor final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  WatchReactor(HealthState& state, std::string name)
      : state_(state), watch_(std::make_shared<HealthWatch>(std::move(name), this)) {}

  void Start() { state_.Add(watch_); }
  // Instead of Start.
  void Refuse(const grpc::Status& status) { watch_->End(status); }

  void OnWriteDone(bool ok) override { watch_->OnWritten(ok); }
  void OnCancel() override { watch_->End(grpc::Status(grpc::StatusCode::CANCELLED, "cancelled by the client")); }
  void OnDone() override {
    state_.Remove(watch_);
    delete this;
  }

 private:
  HealthState& state_;
  const std::shared_ptr<HealthWatch> watch_;
};

}  // namespace

void HealthWatch::Tell(HealthCheckResponse::ServingStatus status) {
  MutexLock lock(mutex_);
  next_ = status;
  Pump();
}

void HealthWatch::OnWritten(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  if (!ok && !end_) end_ = grpc::Status(grpc::StatusCode::CANCELLED, "the client is gone");
  Pump();
}

void HealthWatch::End(const grpc::Status& status) {
  MutexLock lock(mutex_);
  if (!end_) end_ = status;
  Pump();
}

void HealthWatch::Pump() {
  // gRPC never runs reactions inside StartWrite or Finish, so calling them with the lock held cannot deadlock, and the
  // lock keeps the reactor: it is destroyed only after Finish.
  if (reactor_ == nullptr || writing_) return;
  if (end_) {
    std::exchange(reactor_, nullptr)->Finish(*end_);
    return;
  }
  if (!next_ || next_ == told_) return;
  told_ = std::exchange(next_, std::nullopt);
  message_ = Answer(*told_);
  writing_ = true;
  reactor_->StartWrite(&message_);
}

HealthState::HealthState() {
  MutexLock lock(mutex_);
  for (const std::string_view name : {std::string_view(), kHealthService, kHealthReadiness}) Set(name, false);
  Set(kHealthLiveness, true);
}

HealthState::~HealthState() = default;

void HealthState::SetReady(bool ready) {
  MutexLock lock(mutex_);
  for (const std::string_view name : {std::string_view(), kHealthService, kHealthReadiness}) Set(name, ready);
}

void HealthState::SetLive(bool live) {
  MutexLock lock(mutex_);
  Set(kHealthLiveness, live);
}

void HealthState::Set(std::string_view name, bool serving) {
  Status& status = statuses_[std::string(name)];
  const Status next = serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  if (status == next) return;
  status = next;
  for (const std::shared_ptr<HealthWatch>& watch : watches_) {
    if (watch->name() == name) watch->Tell(next);
  }
}

HealthCheckResponse::ServingStatus HealthState::Get(std::string_view name) const {
  MutexLock lock(mutex_);
  const auto found = statuses_.find(name);
  return found == statuses_.end() ? HealthCheckResponse::SERVICE_UNKNOWN : found->second;
}

void HealthState::EndWatches() {
  MutexLock lock(mutex_);
  ended_ = true;
  for (const std::shared_ptr<HealthWatch>& watch : watches_) {
    watch->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server stops"));
  }
}

void HealthState::Add(std::shared_ptr<HealthWatch> watch) {
  MutexLock lock(mutex_);
  const auto found = statuses_.find(watch->name());
  watch->Tell(found == statuses_.end() ? HealthCheckResponse::SERVICE_UNKNOWN : found->second);
  if (ended_) watch->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server stops"));
  watches_.insert(std::move(watch));
}

void HealthState::Remove(const std::shared_ptr<HealthWatch>& watch) {
  MutexLock lock(mutex_);
  watches_.erase(watch);
  if (watches_.empty()) emptied_.NotifyAll();
}

bool HealthState::AwaitNone(absl::Duration patience) {
  MutexLock lock(mutex_);
  return AwaitEmpty(watches_, mutex_, emptied_, patience);
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                               grpc::ByteBuffer* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  HealthCheckRequest request;
  if (const absl::Status parsed = ParseRequest(*bytes, kMaxRequestBytes, request); !parsed.ok()) {
    reactor->Finish(ToGrpcStatus(parsed));
    return reactor;
  }
  const HealthCheckResponse::ServingStatus status = state_.Get(request.service());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    reactor->Finish(
        grpc::Status(grpc::StatusCode::NOT_FOUND,
                     "unknown service; known: \"\", stepcast.v1.ImageGenerationService, readiness, liveness"));
    return reactor;
  }
  *response = Answer(status);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* HealthService::Watch(grpc::CallbackServerContext*,
                                                                 const grpc::ByteBuffer* bytes) {
  HealthCheckRequest request;
  const absl::Status parsed = ParseRequest(*bytes, kMaxRequestBytes, request);
  auto* reactor = new WatchReactor(state_, request.service());
  if (parsed.ok()) {
    reactor->Start();
  } else {
    reactor->Refuse(ToGrpcStatus(parsed));
  }
  return reactor;
}

}  // namespace stepcast

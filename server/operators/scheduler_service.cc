#include "server/operators/scheduler_service.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "server/call/generate_calls.h"
#include "server/operators/schedule_description.h"
#include "server/operators/unary_call.h"
#include "server/request/errors/field_violations.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

// Requests of this service are a few bytes.
constexpr int64_t kMaxRequestBytes = 64 << 10;
// How long a message may be on its way before its watcher counts as one that does not read.
constexpr absl::Duration kWriteLimit = absl::Seconds(1);

absl::Status Loading() {
  return MakeError({.reason = v1::ERROR_REASON_MODEL_LOADING, .retry_after = absl::Seconds(2)});
}

class WatchReactor;

// One WatchTicks call as the feed sees it. Outlives its reactor: the reactor lets go when the call is done.
//
// Thread-safety: all methods may be called from any thread.
class TickStream final : public LiveCall, public std::enable_shared_from_this<TickStream> {
 public:
  TickStream(CodecPool& writers, const Clock& clock, WatchReactor* reactor)
      : writers_(writers), clock_(clock), reactor_(reactor), write_started_(clock.Now()) {}

  // REQUIRES: called once, before anything else.
  void Watch(TickFeed& feed, const std::string& device) {
    watch_ = std::make_shared<TickWatch>(device, [weak = weak_from_this(), &writers = writers_] {
      // The engine thread never enters gRPC.
      writers.Post([weak] {
        if (const auto self = weak.lock()) self->Pump();
      });
    });
    feed.Add(watch_);
  }
  const std::shared_ptr<TickWatch>& watch() const { return watch_; }

  void OnWritten(bool ok) {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (!ok && !end_) end_ = absl::CancelledError("the client is gone");
    }
    Pump();
  }

  void Cancel(const absl::Status& reason) override;
  void CheckStall(absl::Time) override {}  // its queue is bounded: it may take as long as it likes
  void Pump();

 private:
  CodecPool& writers_;
  const Clock& clock_;
  std::shared_ptr<TickWatch> watch_;
  Mutex mutex_;
  WatchReactor* reactor_ ABSL_GUARDED_BY(mutex_);  // null once finished
  bool writing_ ABSL_GUARDED_BY(mutex_) = true;    // the headers come first
  absl::Time write_started_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

class WatchReactor final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  WatchReactor(grpc::CallbackServerContext& context, std::unique_ptr<CallRecord> record, TickFeed& feed,
               LiveCalls& calls)
      : context_(context), record_(std::move(record)), feed_(feed), calls_(calls) {}

  void Refuse(const absl::Status& status) { Finish(record_->Finish({.status = status})); }

  void Start(CodecPool& writers, const Clock& clock, const std::string& device) {
    stream_ = std::make_shared<TickStream>(writers, clock, this);
    stream_->Watch(feed_, device);
    calls_.Add(stream_);
    // At once: a client that has the headers misses nothing from then on. Nothing else is sent or ends before.
    StartSendInitialMetadata();
  }

  // With the stream's lock held, which keeps this alive: gRPC runs no reaction inside StartWrite or Finish.
  void Send(const v1::WatchTicksResponse& message) {
    ToBytes(message, buffer_);
    bytes_ += static_cast<int64_t>(buffer_.Length());
    StartWrite(&buffer_);
  }
  void End(const absl::Status& status) {
    Finish(record_->Finish({.status = status, .admitted = true, .bytes = bytes_}));
  }
  void Abort() { context_.TryCancel(); }

  void OnSendInitialMetadataDone(bool ok) override { stream_->OnWritten(ok); }
  void OnWriteDone(bool ok) override { stream_->OnWritten(ok); }
  void OnCancel() override {
    if (stream_ != nullptr) stream_->Cancel(absl::CancelledError("cancelled by the client"));
  }
  void OnDone() override {
    if (stream_ != nullptr) {
      feed_.Remove(stream_->watch());
      calls_.Remove(stream_);
    }
    delete this;
  }

 private:
  grpc::CallbackServerContext& context_;
  const std::unique_ptr<CallRecord> record_;
  TickFeed& feed_;
  LiveCalls& calls_;
  std::shared_ptr<TickStream> stream_;  // null for a refused call
  grpc::ByteBuffer buffer_;             // alive until OnWriteDone
  int64_t bytes_ = 0;
};

void TickStream::Cancel(const absl::Status& reason) {
  {
    MutexLock lock(mutex_);
    if (!end_) end_ = reason;
    // An abort loses the reason. What is on its way to a watcher that reads is through in a moment, also where it is
    // the headers and gRPC has not said so yet.
    if (reactor_ != nullptr && writing_ && clock_.Now() - write_started_ > kWriteLimit) reactor_->Abort();
  }
  Pump();
}

void TickStream::Pump() {
  MutexLock lock(mutex_);
  if (reactor_ == nullptr || writing_) return;
  if (end_) return std::exchange(reactor_, nullptr)->End(*end_);
  const SharedTick tick = watch_->Take();
  if (tick == nullptr) return;
  writing_ = true;
  write_started_ = clock_.Now();
  reactor_->Send(DescribeTick(*tick, watch_->dropped()));
}

}  // namespace

SchedulerService::SchedulerService(TickFeed& feed, CodecPool& writers, const CallBooks& books)
    : feed_(feed), writers_(writers), books_(books) {}

void SchedulerService::Serve(Dispatcher& dispatcher) { dispatcher_ = &dispatcher; }

void SchedulerService::EndCalls() { calls_.Close(MakeError({.reason = v1::ERROR_REASON_DRAINING})); }

absl::Status SchedulerService::CheckWatch(const grpc::ByteBuffer& bytes, v1::WatchTicksRequest& request) const {
  STEPCAST_RETURN_IF_ERROR(ParseRequest(bytes, kMaxRequestBytes, request));
  const Dispatcher* const dispatcher = dispatcher_;
  if (dispatcher == nullptr) return Loading();
  if (request.device().empty()) return absl::OkStatus();
  const std::vector<DeviceStatus> devices = dispatcher->devices();
  const auto named = [&request](const DeviceStatus& device) { return device.name == request.device(); };
  if (std::any_of(devices.begin(), devices.end(), named)) return absl::OkStatus();
  const auto append = [](std::string* out, const DeviceStatus& device) { absl::StrAppend(out, device.name); };
  FieldViolations violations;
  violations.Add("device", Quoted(request.device()),
                 absl::StrCat(absl::StrJoin(devices, ", ", append), ", see Device.name of GetServerInfo"));
  return violations.ToStatus();
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* SchedulerService::WatchTicks(grpc::CallbackServerContext* context,
                                                                         const grpc::ByteBuffer* bytes) {
  auto record = std::make_unique<CallRecord>("WatchTicks", *context, books_);
  v1::WatchTicksRequest request;
  absl::Status status = record->caller().status();
  if (status.ok()) status = CheckWatch(*bytes, request);
  auto* reactor = new WatchReactor(*context, std::move(record), feed_, calls_);
  if (!status.ok()) {
    reactor->Refuse(status);
  } else {
    reactor->Start(writers_, books_.clock, request.device());
  }
  return reactor;
}

grpc::ServerUnaryReactor* SchedulerService::GetSchedule(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* bytes, grpc::ByteBuffer* response) {
  auto record = std::make_unique<CallRecord>("GetSchedule", *context, books_);
  v1::GetScheduleRequest request;
  absl::Status status = record->caller().status();
  if (status.ok()) status = ParseRequest(*bytes, kMaxRequestBytes, request);
  auto* reactor = new UnaryReactor(std::move(record), calls_, *response);
  Dispatcher* const dispatcher = dispatcher_;
  if (status.ok() && dispatcher == nullptr) status = Loading();
  if (!status.ok()) {
    reactor->Refuse(status);
    return reactor;
  }
  const std::shared_ptr<UnaryCall> call = reactor->Start();
  dispatcher->Snapshot([call, &writers = writers_](std::vector<DeviceView> views) {
    writers.Post([call, views = std::move(views)] { call->Answer(DescribeSchedule(views)); });
  });
  return reactor;
}

}  // namespace stepcast

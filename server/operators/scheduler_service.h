#pragma once
// stepcast.v1.SchedulerService, for operators: on the admin port alone.

#include <atomic>
#include <memory>
#include <string_view>

#include "codec/codec_pool.h"
#include "core/clock.h"
#include "scheduler/dispatch/dispatcher.h"
#include "server/call/call_record.h"
#include "server/call/live_calls.h"
#include "server/operators/tick_feed.h"
#include "server/telemetry/server_metrics.h"
#include "stepcast/v1/scheduler.grpc.pb.h"

namespace stepcast {

// Raw bytes for the same reason as those of ImageService.
using RawSchedulerService = v1::SchedulerService::WithRawCallbackMethod_WatchTicks<
    v1::SchedulerService::WithRawCallbackMethod_GetSchedule<v1::SchedulerService::Service>>;

// Thread-safety: all methods may be called from any thread. Loops are asked through their mailbox and answer
// through the writers' thread; nobody waits.
class SchedulerService final : public RawSchedulerService {
 public:
  // All must outlive the gRPC server that this is registered with; `writers` is where messages leave for gRPC.
  SchedulerService(TickFeed& feed, CodecPool& writers, const CallBooks& books);

  // Until then every call is refused with MODEL_LOADING. `dispatcher` must outlive this. REQUIRES: called once.
  void Serve(Dispatcher& dispatcher);

  // Ends every call, now and to come, with DRAINING, so that the server can stop.
  void EndCalls();
  // Waits until no call is left. Returns false after `patience`.
  bool AwaitNone(absl::Duration patience) { return calls_.AwaitNone(patience); }

  // The gRPC methods.
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchTicks(grpc::CallbackServerContext* context,
                                                         const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* GetSchedule(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;

 private:
  absl::Status CheckWatch(const grpc::ByteBuffer& bytes, v1::WatchTicksRequest& request) const;

  TickFeed& feed_;
  CodecPool& writers_;
  const CallBooks books_;
  LiveCalls calls_;
  std::atomic<Dispatcher*> dispatcher_{nullptr};
};

}  // namespace stepcast

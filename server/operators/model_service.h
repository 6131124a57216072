#pragma once
// stepcast.v1.ModelService, for operators: on the admin port alone.

#include <atomic>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/codec_pool.h"
#include "core/clock.h"
#include "server/call/call_record.h"
#include "server/call/live_calls.h"
#include "server/catalog/model_store.h"
#include "server/config/config.h"
#include "server/telemetry/server_metrics.h"
#include "stepcast/v1/model_service.grpc.pb.h"

namespace stepcast {

// Raw bytes for the same reason as those of ImageService.
using RawModelService = v1::ModelService::WithRawCallbackMethod_LoadModel<
    v1::ModelService::WithRawCallbackMethod_UnloadModel<v1::ModelService::Service>>;

// Thread-safety: all methods may be called from any thread. Nobody waits: the thread that loads answers through the
// writers' thread.
class ModelService final : public RawModelService {
 public:
  // All must outlive the gRPC server that this is registered with; `writers` is where messages leave for gRPC.
  ModelService(const ServerConfig& config, CodecPool& writers, const CallBooks& books);

  // Until then every call is refused with MODEL_LOADING. `models` must outlive this. REQUIRES: called once.
  void Serve(ModelStore& models);

  // Ends every call, now and to come, with DRAINING, so that the server can stop.
  void EndCalls();
  // Waits until no call is left. Returns false after `patience`.
  bool AwaitNone(absl::Duration patience) { return calls_.AwaitNone(patience); }

  // The gRPC methods.
  grpc::ServerUnaryReactor* LoadModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* UnloadModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;

 private:
  // The id that a request names.
  absl::StatusOr<std::string> ModelOf(const std::string& name) const;
  v1::Model Describe(const std::string& id) const;

  const ServerConfig& config_;
  CodecPool& writers_;
  const CallBooks books_;
  LiveCalls calls_;
  std::atomic<ModelStore*> models_{nullptr};
};

}  // namespace stepcast

#pragma once
// stepcast.v1.ImageGenerationService.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/codec_pool.h"
#include "core/clock.h"
#include "sampling/compile/program_cache.h"
#include "server/call/call_record.h"
#include "server/call/generate_calls.h"
#include "server/call/generation_stream.h"
#include "server/call/live_calls.h"
#include "server/call/upload.h"
#include "server/call/upload_budget.h"
#include "server/catalog/adapters/lora_catalog.h"
#include "server/catalog/model_registry.h"
#include "server/config/config.h"
#include "server/identity/tenant_rates.h"
#include "server/request/request_validator.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast {

// What a server answers with once its models are loaded.
struct Backend {
  ModelStore& models;
  StreamServices streams;
  std::string numerics = "";  // LoadedEngine::numerics
  const AdapterCatalog& adapters;
  const LoraCatalog* loras = nullptr;  // null: there are none
};

// What a request needs that it does not bring.
struct RequestSources {
  SeedSource& seeds;
  TenantRates& rates;
};

// Every method takes raw bytes: gRPC 1.51 answers a message it cannot parse with an UNIMPLEMENTED that says nothing,
// ours says what is wrong.
using RawImageGenerationService = v1::ImageGenerationService::WithRawCallbackMethod_Generate<
    v1::ImageGenerationService::WithRawCallbackMethod_GenerateImage<
        v1::ImageGenerationService::WithRawCallbackMethod_ListModels<
            v1::ImageGenerationService::WithRawCallbackMethod_GetModel<
                v1::ImageGenerationService::WithRawCallbackMethod_ListAdapters<
                    v1::ImageGenerationService::WithRawCallbackMethod_GetServerInfo<
                        v1::ImageGenerationService::Service>>>>>>;

// Parses, validates, compiles and admits; the rest is GenerationStream's.
//
// Thread-safety: all methods may be called from any thread. Methods run on gRPC's threads and never wait.
class ImageService final : public RawImageGenerationService {
 public:
  // All must outlive the gRPC server that this is registered with.
  ImageService(const ServerConfig& config, const CallBooks& books, LiveCalls& live, RequestSources sources);

  // Until then every call is refused with MODEL_LOADING. `backend` must outlive this. REQUIRES: called once.
  void Serve(const Backend& backend);

  // From now on painting calls are refused with DRAINING.
  void RefuseNew();

  // The gRPC methods.
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Generate(grpc::CallbackServerContext* context,
                                                       const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* GenerateImage(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListAdapters(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;

 private:
  struct AskedFor;

  std::unique_ptr<CallRecord> Record(std::string_view method, grpc::CallbackServerContext& context) const;
  absl::StatusOr<const Backend*> Ready() const;
  // The request of whoever may call.
  absl::Status Parse(const CallRecord& record, const grpc::ByteBuffer& bytes, google::protobuf::Message& request) const;
  auto Parser() const {
    return [this](const CallRecord& record, const grpc::ByteBuffer& bytes, google::protobuf::Message& request) {
      return Parse(record, bytes, request);
    };
  }
  // What `model` means for the caller; that it is what the metadata says to routers.
  absl::Status NameModel(const CallRecord& record, std::string& model) const;
  CallStart Begin(std::string_view method, grpc::CallbackServerContext& context);
  using SharedAsked = std::shared_ptr<const AskedFor>;
  absl::StatusOr<SharedAsked> Ask(v1::GenerateRequest request, const PictureFiles& files, const CallRecord& record,
                                  bool unary) const;
  absl::StatusOr<SharedRequest> Validate(const AskedFor& asked, const ModelRegistry& models);
  // `read`: the request with its pictures, of an earlier time; nullptr where it has none.
  absl::StatusOr<StreamRequest> Prepare(const SharedAsked& asked, const SharedRequest& read,
                                        const ModelRegistry& models);
  absl::StatusOr<StreamRequest> Complete(const SharedAsked& asked, const SharedRequest& request);
  // Sets what its tokens are bound to, and where it goes on if `token` is not empty. Errors: RESUME_TOKEN_INVALID.
  absl::Status Resume(const std::string& token, StreamRequest& stream) const;
  absl::StatusOr<Upload::Work> PrepareUpload(const SharedAsked& asked, PictureFiles files, const ModelRegistry& models);
  void Check(v1::GenerateRequest request, bool unary, CallStart& start);

  absl::StatusOr<v1::ListModelsResponse> List(const v1::ListModelsRequest& request, const Caller& caller) const;
  absl::StatusOr<v1::GetModelResponse> Get(const v1::GetModelRequest& request, const CallRecord& record) const;
  absl::StatusOr<v1::GetServerInfoResponse> Info(const Caller& caller) const;
  absl::StatusOr<v1::ListAdaptersResponse> List(const v1::ListAdaptersRequest& request, const CallRecord& record) const;

  const ServerConfig& config_;
  const CallBooks books_;
  ServerMetrics& metrics_;
  LiveCalls& live_;
  const RequestSources sources_;
  const Clock& clock_;
  const absl::Time started_;
  sampling::ProgramCache programs_;
  const std::shared_ptr<UploadBudget> upload_budget_;
  std::atomic<const Backend*> backend_{nullptr};
  std::atomic<bool> refusing_{false};
  CodecPool uploads_;  // one thread, which uses all of the above
};

}  // namespace stepcast

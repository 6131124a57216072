#include "server/operators/model_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "server/catalog/model_description.h"
#include "server/operators/unary_call.h"
#include "server/request/errors/field_violations.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"
#include "server/request/request_validator.h"
#include "server/wire/proto_time.h"

namespace stepcast {
namespace {

// Requests of this service are a few bytes.
constexpr int64_t kMaxRequestBytes = 64 << 10;
constexpr absl::Duration kLongestDrain = absl::Hours(24);

absl::Status Loading() {
  return MakeError({.reason = v1::ERROR_REASON_MODEL_LOADING, .retry_after = absl::Seconds(2)});
}

// Of whoever may call.
absl::Status Parse(const CallRecord& record, const grpc::ByteBuffer& bytes, google::protobuf::Message& request) {
  STEPCAST_RETURN_IF_ERROR(record.caller().status());
  return ParseRequest(bytes, kMaxRequestBytes, request);
}

// How long the model's pictures may take.
absl::StatusOr<absl::Duration> DrainTime(const v1::UnloadModelRequest& request, absl::Duration otherwise) {
  if (!request.has_timeout()) return otherwise;
  const google::protobuf::Duration& told = request.timeout();
  const absl::Duration timeout = absl::Seconds(told.seconds()) + absl::Nanoseconds(told.nanos());
  if (told.nanos() > -1'000'000'000 && told.nanos() < 1'000'000'000 && timeout >= absl::ZeroDuration() &&
      timeout <= kLongestDrain) {
    return timeout;
  }
  FieldViolations violations;
  violations.Add("timeout", absl::StrCat(told.seconds(), "s ", told.nanos(), "ns"), "0s to 24h");
  return violations.ToStatus();
}

}  // namespace

ModelService::ModelService(const ServerConfig& config, CodecPool& writers, const CallBooks& books)
    : config_(config), writers_(writers), books_(books) {}

void ModelService::Serve(ModelStore& models) { models_ = &models; }

void ModelService::EndCalls() { calls_.Close(MakeError({.reason = v1::ERROR_REASON_DRAINING})); }

absl::StatusOr<std::string> ModelService::ModelOf(const std::string& name) const {
  const ModelStore* const models = models_;
  if (models == nullptr) return Loading();
  const std::shared_ptr<const ModelRegistry> registry = models->registry();
  STEPCAST_ASSIGN_OR_RETURN(const RegisteredModel* model, FindModel(name, *registry));
  return model->info->id;
}

v1::Model ModelService::Describe(const std::string& id) const {
  const ModelStore& models = *models_;
  const std::shared_ptr<const ModelRegistry> registry = models.registry();
  const RegisteredModel& model = *registry->Find(id);
  return DescribeModel(model, &model == &registry->default_model(), config_.limits, models.Standing(id));
}

grpc::ServerUnaryReactor* ModelService::LoadModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                                  grpc::ByteBuffer* response) {
  auto record = std::make_unique<CallRecord>("LoadModel", *context, books_);
  v1::LoadModelRequest request;
  const absl::Status parsed = Parse(*record, *bytes, request);
  auto* reactor = new UnaryReactor(std::move(record), calls_, *response);
  const absl::StatusOr<std::string> id = parsed.ok() ? ModelOf(request.model()) : parsed;
  if (!id.ok()) {
    reactor->Refuse(id.status());
    return reactor;
  }
  const std::shared_ptr<UnaryCall> call = reactor->Start();
  ModelStore& models = *models_;
  models.Load(*id, [this, call, id = *id](absl::StatusOr<int64_t> done) {
    writers_.Post([this, call, id, status = done.status()] {
      if (!status.ok()) return call->Cancel(FromModelError(status, id));
      v1::LoadModelResponse answer;
      *answer.mutable_model() = Describe(id);
      call->Answer(answer);
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ModelService::UnloadModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                                    grpc::ByteBuffer* response) {
  auto record = std::make_unique<CallRecord>("UnloadModel", *context, books_);
  v1::UnloadModelRequest request;
  const absl::Status parsed = Parse(*record, *bytes, request);
  auto* reactor = new UnaryReactor(std::move(record), calls_, *response);
  const absl::StatusOr<absl::Duration> timeout = parsed.ok() ? DrainTime(request, config_.drain.timeout) : parsed;
  const absl::StatusOr<std::string> id = timeout.ok() ? ModelOf(request.model()) : timeout.status();
  if (!id.ok()) {
    reactor->Refuse(id.status());
    return reactor;
  }
  const std::shared_ptr<UnaryCall> call = reactor->Start();
  ModelStore& models = *models_;
  models.Unload(*id, books_.clock.Now() + *timeout, request.reload_on_request(),
                [this, call, id = *id](absl::StatusOr<int64_t> freed) {
                  writers_.Post([this, call, id, freed] {
                    if (!freed.ok()) return call->Cancel(FromModelError(freed.status(), id));
                    v1::UnloadModelResponse answer;
                    *answer.mutable_model() = Describe(id);
                    answer.set_freed_bytes(*freed);
                    call->Answer(answer);
                  });
                });
  return reactor;
}

}  // namespace stepcast

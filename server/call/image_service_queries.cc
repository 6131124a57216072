// The methods of ImageService that paint nothing.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "server/call/image_service.h"
#include "server/call/page.h"
#include "server/catalog/adapters/adapter_description.h"
#include "server/catalog/device_description.h"
#include "server/catalog/model_description.h"
#include "server/request/errors/field_violations.h"
#include "server/wire/proto_time.h"
#include "server/wire/text_limits.h"
#include "server/wire/version.h"

namespace stepcast {
namespace {

// A call that paints nothing.
struct PlainCall {
  grpc::CallbackServerContext& context;
  std::unique_ptr<CallRecord> record;
  const grpc::ByteBuffer& bytes;
  grpc::ByteBuffer& response;
};

// Answers it at once, on the thread that received it. `parse` fills the request in, if the caller may call.
template <typename Request, typename Parse, typename Answer>
grpc::ServerUnaryReactor* AnswerNow(PlainCall call, Parse parse, Answer answer) {
  grpc::ServerUnaryReactor* const reactor = call.context.DefaultReactor();
  Request request;
  CallOutcome outcome{.status = parse(*call.record, call.bytes, request)};
  if (outcome.status.ok()) {
    const auto message = answer(request, *call.record->caller());
    outcome.status = message.status();
    if (message.ok()) {
      ToBytes(*message, call.response);
      outcome.bytes = static_cast<int64_t>(call.response.Length());
    }
  }
  reactor->Finish(call.record->Finish(outcome));
  return reactor;
}

// Of a model with parts in common with others: those that the caller may know of.
void HideForeign(const Caller& caller, v1::Model& model) {
  for (v1::ModelComponent& component : *model.mutable_components()) {
    auto& names = *component.mutable_shared_with();
    const auto hidden = [&caller](const std::string& id) { return !caller.MayUse(id); };
    names.erase(std::remove_if(names.begin(), names.end(), hidden), names.end());
  }
}

// Those that go with no model of the caller's, and the names of others.
void HideForeign(const Caller& caller, std::vector<v1::Adapter>& adapters) {
  for (v1::Adapter& adapter : adapters) {
    auto& names = *adapter.mutable_models();
    const auto hidden = [&caller](const std::string& id) { return !caller.MayUse(id); };
    names.erase(std::remove_if(names.begin(), names.end(), hidden), names.end());
  }
  if (!caller.limits().models.has_value()) return;
  std::erase_if(adapters, [](const v1::Adapter& adapter) { return adapter.models().empty(); });
}

// What the caller gets who names no model; null: none is its own.
const RegisteredModel* DefaultOf(const Caller& caller, const ModelRegistry& models) {
  const absl::StatusOr<std::string> name = caller.ModelFor("", models);
  return name.ok() ? models.Find(*name) : nullptr;
}

}  // namespace

grpc::ServerUnaryReactor* ImageService::ListModels(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                                   grpc::ByteBuffer* response) {
  return AnswerNow<v1::ListModelsRequest>(
      {*context, Record("ListModels", *context), *bytes, *response}, Parser(),
      [this](const auto& request, const Caller& caller) { return List(request, caller); });
}

grpc::ServerUnaryReactor* ImageService::GetModel(grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes,
                                                 grpc::ByteBuffer* response) {
  auto record = Record("GetModel", *context);
  const CallRecord& call = *record;
  return AnswerNow<v1::GetModelRequest>(
      {*context, std::move(record), *bytes, *response}, Parser(),
      [this, &call](const auto& request, const Caller&) { return Get(request, call); });
}

grpc::ServerUnaryReactor* ImageService::ListAdapters(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* bytes, grpc::ByteBuffer* response) {
  auto record = Record("ListAdapters", *context);
  const CallRecord& call = *record;
  return AnswerNow<v1::ListAdaptersRequest>(
      {*context, std::move(record), *bytes, *response}, Parser(),
      [this, &call](const auto& request, const Caller&) { return List(request, call); });
}

grpc::ServerUnaryReactor* ImageService::GetServerInfo(grpc::CallbackServerContext* context,
                                                      const grpc::ByteBuffer* bytes, grpc::ByteBuffer* response) {
  return AnswerNow<v1::GetServerInfoRequest>({*context, Record("GetServerInfo", *context), *bytes, *response}, Parser(),
                                             [this](const auto&, const Caller& caller) { return Info(caller); });
}

absl::StatusOr<v1::ListModelsResponse> ImageService::List(const v1::ListModelsRequest& request,
                                                          const Caller& caller) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> registry = backend->models.registry();
  std::vector<const RegisteredModel*> models;
  for (const RegisteredModel& model : registry->models()) {
    if (caller.MayUse(model.info->id)) models.push_back(&model);
  }
  FieldViolations violations;
  const Page page = PageOf(request, models.size(), violations);
  STEPCAST_RETURN_IF_ERROR(violations.ToStatus());
  v1::ListModelsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) {
    v1::Model& told = *response.add_models();
    told = DescribeModel(*models[i], /*is_default=*/i == 0, caller.server_limits(),
                         backend->models.Standing(models[i]->info->id));
    HideForeign(caller, told);
  }
  response.set_next_page_token(page.next);
  return response;
}

absl::StatusOr<v1::ListAdaptersResponse> ImageService::List(const v1::ListAdaptersRequest& request,
                                                            const CallRecord& record) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> registry = backend->models.registry();
  const Caller& caller = *record.caller();
  if (std::string name = request.model(); !name.empty()) {
    STEPCAST_RETURN_IF_ERROR(NameModel(record, name));
    STEPCAST_RETURN_IF_ERROR(FindModel(name, *registry).status());
  }
  std::vector<v1::Adapter> adapters = DescribeAdapters(request, backend->adapters, backend->loras, *registry);
  HideForeign(caller, adapters);
  FieldViolations violations;
  if (!v1::AdapterKind_IsValid(request.kind())) {
    violations.Add("kind", absl::StrCat(static_cast<int>(request.kind())), "a value of AdapterKind, or unset for all");
  }
  const Page page = PageOf(request, adapters.size(), violations);
  STEPCAST_RETURN_IF_ERROR(violations.ToStatus());
  v1::ListAdaptersResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_adapters() = std::move(adapters[i]);
  response.set_next_page_token(page.next);
  return response;
}

absl::StatusOr<v1::GetModelResponse> ImageService::Get(const v1::GetModelRequest& request,
                                                       const CallRecord& record) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> registry = backend->models.registry();
  std::string name = request.model();
  STEPCAST_RETURN_IF_ERROR(NameModel(record, name));
  STEPCAST_ASSIGN_OR_RETURN(const RegisteredModel* model, FindModel(name, *registry));
  const Caller& caller = *record.caller();
  v1::GetModelResponse response;
  *response.mutable_model() = DescribeModel(*model, model == DefaultOf(caller, *registry), caller.server_limits(),
                                            backend->models.Standing(model->info->id));
  HideForeign(caller, *response.mutable_model());
  return response;
}

absl::StatusOr<v1::GetServerInfoResponse> ImageService::Info(const Caller& caller) const {
  v1::GetServerInfoResponse response;
  response.set_version(std::string(kVersion));
  response.set_commit(std::string(kCommit));
  *response.mutable_limits() = DescribeLimits(caller.server_limits(), config_.scheduler.admission.max_queued_jobs);
  response.set_policy(config_.scheduler.policy.name);
  *response.mutable_uptime() = ToProto(clock_.Now() - started_);
  const Backend* const backend = backend_;
  response.set_state(refusing_            ? v1::SERVING_STATE_DRAINING
                     : backend == nullptr ? v1::SERVING_STATE_LOADING
                                          : v1::SERVING_STATE_SERVING);
  if (backend == nullptr) return response;
  const RegisteredModel* const meant = DefaultOf(caller, *backend->models.registry());
  if (meant != nullptr) response.set_default_model(meant->info->id);
  v1::QueueState& queue = *response.mutable_queue();
  for (const DeviceStatus& device : backend->streams.loops.devices()) {
    const v1::Device& told = *response.add_devices() = DescribeDevice(device);
    queue.set_waiting(queue.waiting() + told.queue().waiting());
    queue.set_running(queue.running() + told.queue().running());
    queue.set_ticks(queue.ticks() + told.queue().ticks());
    response.set_strict_rows(device.limits.strict_rows);
    response.set_one_picture_per_forward(device.limits.strict_rows > 0 && device.limits.max_resident_jobs == 1);
  }
  return response;
}

}  // namespace stepcast

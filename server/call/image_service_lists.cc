// What ImageService answers at once: models, adapters, the server.

#include <memory>
#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "server/call/image_service.h"
#include "server/call/page.h"
#include "server/catalog/adapters/adapter_description.h"
#include "server/catalog/device_description.h"
#include "server/catalog/model_description.h"
#include "server/request/errors/field_violations.h"
#include "server/wire/proto_time.h"
#include "server/wire/version.h"

namespace stepcast {

absl::StatusOr<v1::ListModelsResponse> ImageService::List(const v1::ListModelsRequest& request) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> registry = backend->models.registry();
  const absl::Span<const RegisteredModel> models = registry->models();
  FieldViolations violations;
  const Page page = PageOf(request, models.size(), violations);
  STEPCAST_RETURN_IF_ERROR(violations.ToStatus());
  v1::ListModelsResponse response;
  for (size_t i = page.begin; i < page.end; ++i) {
    *response.add_models() =
        DescribeModel(models[i], /*is_default=*/i == 0, config_.limits, backend->models.Standing(models[i].info->id));
  }
  response.set_next_page_token(page.next);
  return response;
}

absl::StatusOr<v1::ListAdaptersResponse> ImageService::List(const v1::ListAdaptersRequest& request) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> registry = backend->models.registry();
  if (!request.model().empty()) STEPCAST_RETURN_IF_ERROR(FindModel(request.model(), *registry).status());
  std::vector<v1::Adapter> adapters = DescribeAdapters(request, backend->adapters, *registry);
  FieldViolations violations;
  if (!v1::AdapterKind_IsValid(request.kind())) {
    violations.Add("kind", absl::StrCat(static_cast<int>(request.kind())), "a value of AdapterKind");
  }
  const Page page = PageOf(request, adapters.size(), violations);
  STEPCAST_RETURN_IF_ERROR(violations.ToStatus());
  v1::ListAdaptersResponse response;
  for (size_t i = page.begin; i < page.end; ++i) *response.add_adapters() = std::move(adapters[i]);
  response.set_next_page_token(page.next);
  return response;
}

absl::StatusOr<v1::GetModelResponse> ImageService::Get(const v1::GetModelRequest& request) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> registry = backend->models.registry();
  STEPCAST_ASSIGN_OR_RETURN(const RegisteredModel* model, FindModel(request.model(), *registry));
  v1::GetModelResponse response;
  *response.mutable_model() = DescribeModel(*model, model == &registry->default_model(), config_.limits,
                                            backend->models.Standing(model->info->id));
  return response;
}

absl::StatusOr<v1::GetServerInfoResponse> ImageService::Info(const v1::GetServerInfoRequest&) const {
  v1::GetServerInfoResponse response;
  response.set_version(std::string(kVersion));
  response.set_commit(std::string(kCommit));
  *response.mutable_limits() = DescribeLimits(config_.limits, config_.scheduler.admission.max_queued_jobs);
  response.set_policy(config_.scheduler.policy.name);
  *response.mutable_uptime() = ToProto(clock_.Now() - started_);
  const Backend* const backend = backend_;
  response.set_state(refusing_            ? v1::SERVING_STATE_DRAINING
                     : backend == nullptr ? v1::SERVING_STATE_LOADING
                                          : v1::SERVING_STATE_SERVING);
  if (backend == nullptr) return response;
  response.set_default_model(backend->models.registry()->default_model().info->id);
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

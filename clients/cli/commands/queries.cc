#include "clients/cli/commands/queries.h"

#include <algorithm>
#include <cstdio>

#include "clients/cli/views/enum_names.h"
#include "clients/cli/views/message_json.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

ExitCode Fail(const grpc::Status& status) {
  std::fprintf(stderr, "stepcast: %s\n", Describe(status).c_str());
  return ExitCodeOf(status);
}

void PrintJson(const google::protobuf::Message& message) { std::printf("%s\n", FullMessageText(message).c_str()); }

std::string SamplerName(v1::Sampler sampler) { return EnumName(v1::Sampler_descriptor(), sampler); }

void PrintRow(const v1::Model& model) {
  const bool ready = model.state() == v1::MODEL_STATE_READY || model.state() == v1::MODEL_STATE_UNSPECIFIED;
  const std::string state = ready ? "" : "  " + EnumName(v1::ModelState_descriptor(), model.state());
  std::printf("%-20s %-12s %4dx%-4d %3d steps  %-16s %6.1f M  %s/%s%s%s\n", model.id().c_str(),
              EnumName(v1::ConditioningKind_descriptor(), model.conditioning()).c_str(), model.defaults().width(),
              model.defaults().height(), model.defaults().steps(), SamplerName(model.defaults().sampler()).c_str(),
              static_cast<double>(model.parameter_count()) * 1e-6, model.device().c_str(), model.dtype().c_str(),
              model.is_default() ? "  (default)" : "", state.c_str());
}

void PrintClasses(const v1::Model& model) {
  constexpr int kShown = 20;
  if (model.class_labels().empty()) return;
  std::printf("  classes    ");
  for (int i = 0; i < std::min(kShown, model.class_labels_size()); ++i) {
    std::printf(" %s", model.class_labels(i).label().c_str());
  }
  if (model.class_labels_size() > kShown) std::printf(" ... (%d; --json lists all)", model.class_labels_size());
  std::printf("%s\n", model.has_classifier() ? "; has a classifier" : "");
}

// Nothing for a server that does not tell.
void PrintMemory(const v1::Model& model) {
  if (model.state() == v1::MODEL_STATE_UNSPECIFIED) return;
  std::printf("  memory      %s, %.1f MiB", EnumName(v1::ModelState_descriptor(), model.state()).c_str(),
              static_cast<double>(model.memory_bytes()) / (1024.0 * 1024.0));
  for (const v1::ModelComponent& part : model.components()) {
    if (part.shared_with().empty()) continue;
    std::printf("; %s shared with", part.name().c_str());
    for (const std::string& other : part.shared_with()) std::printf(" %s", other.c_str());
  }
  std::printf("\n");
}

void PrintModel(const v1::Model& model) {
  std::printf("%s%s\n", model.id().c_str(), model.is_default() ? "  (default)" : "");
  if (!model.display_name().empty()) std::printf("  %s\n", model.display_name().c_str());
  if (!model.description().empty()) std::printf("  %s\n", model.description().c_str());
  const auto& defaults = model.defaults();
  std::printf("  defaults    %dx%d, %d steps, sampler %s, guidance %g\n", defaults.width(), defaults.height(),
              defaults.steps(), SamplerName(defaults.sampler()).c_str(), defaults.guidance_scale());
  PrintClasses(model);
  const auto& limits = model.limits();
  std::printf("  sizes       %d..%d, multiples of %d, at most %lld pixels\n", limits.min_side(), limits.max_side(),
              limits.size_multiple(), static_cast<long long>(limits.max_area()));
  std::printf("  steps       1..%d\n  samplers   ", limits.max_steps());
  for (const auto& support : model.samplers()) std::printf(" %s", SamplerName(support.sampler()).c_str());
  std::printf("\n  parameters  %.1f M, %s on %s\n", static_cast<double>(model.parameter_count()) * 1e-6,
              model.dtype().c_str(), model.device().c_str());
  PrintMemory(model);
  std::printf("  sha256      %s\n", model.sha256().c_str());
  if (!model.license().empty()) std::printf("  license     %s\n", model.license().c_str());
  if (!model.attribution().empty()) std::printf("  attribution %s\n", model.attribution().c_str());
}

ExitCode ListAll(const ConnectionOptions& connection, v1::ImageGenerationService::Stub& stub, bool json) {
  v1::ListModelsResponse all;
  v1::ListModelsRequest request;
  do {
    grpc::ClientContext context;
    Prepare(connection, context);
    v1::ListModelsResponse page;
    const grpc::Status status = stub.ListModels(&context, request, &page);
    if (!status.ok()) return Fail(status);
    all.mutable_models()->MergeFrom(page.models());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (json) {
    PrintJson(all);
  } else {
    for (const auto& model : all.models()) PrintRow(model);
  }
  return kOk;
}

}  // namespace

ExitCode Models(const ConnectionOptions& connection, const std::string& model, bool json) {
  auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  if (model.empty()) return ListAll(connection, *stub, json);
  grpc::ClientContext context;
  Prepare(connection, context);
  v1::GetModelRequest request;
  request.set_model(model);
  v1::GetModelResponse response;
  const grpc::Status status = stub->GetModel(&context, request, &response);
  if (!status.ok()) return Fail(status);
  if (json) {
    PrintJson(response.model());
  } else {
    PrintModel(response.model());
  }
  return kOk;
}

ExitCode Info(const ConnectionOptions& connection, bool json) {
  auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  grpc::ClientContext context;
  Prepare(connection, context);
  v1::GetServerInfoResponse info;
  const grpc::Status status = stub->GetServerInfo(&context, {}, &info);
  if (!status.ok()) return Fail(status);
  if (json) {
    PrintJson(info);
    return kOk;
  }
  std::printf("stepcast %s at %s, %s, up %lld s\n", info.version().c_str(), connection.host.c_str(),
              EnumName(v1::ServingState_descriptor(), info.state()).c_str(),
              static_cast<long long>(info.uptime().seconds()));
  for (const auto& device : info.devices()) {
    std::printf("  device      %s, up to %d rows per tick\n", device.name().c_str(), device.max_rows());
  }
  std::printf("  queue       %d waiting, %d running, %lld ticks so far, policy %s\n", info.queue().waiting(),
              info.queue().running(), static_cast<long long>(info.queue().ticks()), info.policy().c_str());
  if (info.one_picture_per_forward()) {
    std::printf("  strict      one picture per forward\n");
  } else if (info.strict_rows() > 0) {
    std::printf("  strict      every forward has %d rows\n", info.strict_rows());
  }
  const auto& limits = info.limits();
  std::printf("  limits      prompt %d bytes and %d chunks, %d steps, %d images, %d previews per image, queue %d\n",
              limits.max_prompt_bytes(), limits.max_prompt_chunks(), limits.max_steps(), limits.max_image_count(),
              limits.max_previews_per_image(), limits.max_queued_jobs());
  std::printf("  default     model %s\n", info.default_model().c_str());
  return kOk;
}

}  // namespace stepcast::cli

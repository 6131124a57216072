#include "clients/cli/queries.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "google/protobuf/util/json_util.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/support/time.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

ExitCode Fail(const grpc::Status& status) {
  std::fprintf(stderr, "stepcast: %s\n", Describe(status).c_str());
  return ExitCodeOf(status);
}

void PrintJson(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  std::cout << text << std::endl;
}

// "SAMPLER_DPMPP_2M" -> "dpmpp_2m", as --sampler takes it.
std::string ShortName(const std::string& enum_name, size_t prefix) {
  std::string name = enum_name.substr(prefix);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::string SamplerName(v1::Sampler sampler) { return ShortName(v1::Sampler_Name(sampler), 8); }

void PrintRow(const v1::Model& model) {
  std::printf("%-20s %-12s %4dx%-4d %3d steps  %-16s %6.1f M  %s/%s%s\n", model.id().c_str(),
              ShortName(v1::ConditioningKind_Name(model.conditioning()), 18).c_str(), model.defaults().width(),
              model.defaults().height(), model.defaults().steps(), SamplerName(model.defaults().sampler()).c_str(),
              static_cast<double>(model.parameter_count()) * 1e-6, model.device().c_str(), model.dtype().c_str(),
              model.is_default() ? "  (default)" : "");
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
              ShortName(v1::ServingState_Name(info.state()), 14).c_str(),
              static_cast<long long>(info.uptime().seconds()));
  for (const auto& device : info.devices()) {
    std::printf("  device      %s, up to %d rows per tick\n", device.name().c_str(), device.max_rows());
  }
  std::printf("  queue       %d waiting, %d running, %lld ticks so far, policy %s\n", info.queue().waiting(),
              info.queue().running(), static_cast<long long>(info.queue().ticks()), info.policy().c_str());
  const auto& limits = info.limits();
  std::printf("  limits      prompt %d bytes, %d steps, %d images, %d previews per image, queue %d\n",
              limits.max_prompt_bytes(), limits.max_steps(), limits.max_image_count(), limits.max_previews_per_image(),
              limits.max_queued_jobs());
  std::printf("  default     model %s\n", info.default_model().c_str());
  return kOk;
}

ExitCode Health(const ConnectionOptions& connection, const HealthOptions& options) {
  using grpc::health::v1::HealthCheckResponse;
  const gpr_timespec end = gpr_time_add(
      gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(static_cast<int64_t>(options.wait_s * 1000), GPR_TIMESPAN));
  auto stub = grpc::health::v1::Health::NewStub(Connect(connection));
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(options.service);
  for (;;) {
    // Each look is a short Watch: it returns at the first SERVING and never spins.
    constexpr int kLookMs = 250;
    grpc::ClientContext context;
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(kLookMs, GPR_TIMESPAN)));
    context.set_wait_for_ready(options.wait_s > 0);
    auto reader = stub->Watch(&context, request);
    HealthCheckResponse response;
    bool answered = false;
    while (reader->Read(&response)) {
      answered = true;
      if (response.status() == HealthCheckResponse::SERVING) {
        context.TryCancel();
        (void)reader->Finish();
        std::printf("SERVING\n");
        return kOk;
      }
      if (options.wait_s <= 0) context.TryCancel();
    }
    const grpc::Status status = reader->Finish();
    const bool gone = options.while_pid > 0 && kill(options.while_pid, 0) != 0;
    if (gone || gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), end) >= 0) {
      std::fprintf(stderr, "stepcast: %s: %s\n", options.service.c_str(),
                   answered ? HealthCheckResponse::ServingStatus_Name(response.status()).c_str() : "no answer");
      return kUnavailable;
    }
  }
}

}  // namespace stepcast::cli

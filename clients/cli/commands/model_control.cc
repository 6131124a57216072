#include "clients/cli/commands/model_control.h"

#include <cmath>
#include <cstdio>

#include "clients/cli/call/interrupt.h"
#include "stepcast/v1/model_service.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr double kMebibyte = 1024.0 * 1024.0;

ExitCode Fail(const grpc::Status& status) {
  std::fprintf(stderr, "stepcast: %s\n", Describe(status).c_str());
  return ExitCodeOf(status);
}

}  // namespace

ExitCode LoadModel(const ConnectionOptions& admin, const std::string& model) {
  auto stub = v1::ModelService::NewStub(Connect(admin));
  grpc::ClientContext context;
  Prepare(admin, context);
  const CancelOnInterrupt interrupt([&context] { context.TryCancel(); });
  v1::LoadModelRequest request;
  request.set_model(model);
  v1::LoadModelResponse response;
  const grpc::Status status = stub->LoadModel(&context, request, &response);
  if (!status.ok()) return Fail(status);
  std::printf("%s is in memory: %.1f MiB\n", response.model().id().c_str(),
              static_cast<double>(response.model().memory_bytes()) / kMebibyte);
  return kOk;
}

ExitCode UnloadModel(const ConnectionOptions& admin, const std::string& model, const UnloadOptions& options) {
  auto stub = v1::ModelService::NewStub(Connect(admin));
  grpc::ClientContext context;
  Prepare(admin, context);
  const CancelOnInterrupt interrupt([&context] { context.TryCancel(); });
  v1::UnloadModelRequest request;
  request.set_model(model);
  request.set_reload_on_request(options.reload);
  if (options.drain_s.has_value()) {
    const double whole = std::floor(*options.drain_s);
    request.mutable_timeout()->set_seconds(static_cast<int64_t>(whole));
    request.mutable_timeout()->set_nanos(static_cast<int32_t>((*options.drain_s - whole) * 1e9));
  }
  v1::UnloadModelResponse response;
  const grpc::Status status = stub->UnloadModel(&context, request, &response);
  if (!status.ok()) return Fail(status);
  std::printf("%s is out of memory: %.1f MiB freed\n", response.model().id().c_str(),
              static_cast<double>(response.freed_bytes()) / kMebibyte);
  return kOk;
}

}  // namespace stepcast::cli

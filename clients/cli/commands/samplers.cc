#include "clients/cli/commands/samplers.h"

#include <cstdio>

#include "clients/cli/views/message_json.h"
#include "clients/cli/views/sampler_table.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {

namespace v1 = ::stepcast::v1;

ExitCode Samplers(const ConnectionOptions& connection, const std::string& model, bool json) {
  auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  grpc::ClientContext context;
  Prepare(connection, context);
  v1::GetModelRequest request;
  request.set_model(model);
  v1::GetModelResponse response;
  if (const grpc::Status status = stub->GetModel(&context, request, &response); !status.ok()) {
    std::fprintf(stderr, "stepcast: %s\n", Describe(status).c_str());
    return ExitCodeOf(status);
  }
  if (!json) {
    std::fputs(SamplerTable(response.model()).c_str(), stdout);
    return kOk;
  }
  // The samplers alone, in a model that says nothing else.
  v1::Model samplers;
  samplers.set_id(response.model().id());
  *samplers.mutable_samplers() = response.model().samplers();
  std::printf("%s\n", MessageText(samplers).c_str());
  return kOk;
}

}  // namespace stepcast::cli

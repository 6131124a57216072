#include "clients/cli/samplers.h"

#include <cstdio>
#include <iostream>

#include "clients/cli/sampler_table.h"
#include "google/protobuf/util/json_util.h"
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
    std::cout << SamplerTable(response.model());
    return kOk;
  }
  // The samplers alone, in a model that says nothing else.
  v1::Model samplers;
  samplers.set_id(response.model().id());
  *samplers.mutable_samplers() = response.model().samplers();
  std::string text;
  google::protobuf::util::JsonPrintOptions printing;
  printing.preserve_proto_field_names = true;
  (void)google::protobuf::util::MessageToJsonString(samplers, &text, printing);
  std::cout << text << std::endl;
  return kOk;
}

}  // namespace stepcast::cli

#pragma once
// How the program reaches a server.

#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

namespace stepcast::cli {

struct ConnectionOptions {
  std::string host = "localhost:50051";  // host:port
  double timeout_s = 0;                  // of one call; 0: none
  std::string tenant = {};               // for whom calls are made; "": nobody in particular
};

// A plaintext channel that accepts answers up to 64 MiB and retries what the server says is worth retrying.
std::shared_ptr<grpc::Channel> Connect(const ConnectionOptions& options);

// Applies timeout and tenant to one call.
void Prepare(const ConnectionOptions& options, grpc::ClientContext& context);

}  // namespace stepcast::cli

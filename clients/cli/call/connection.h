#pragma once
// How the program reaches a server.

#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

namespace stepcast::cli {

constexpr int kServicePort = 50051;
constexpr int kAdminPort = 50052;

struct ConnectionOptions {
  std::string host = "localhost:50051";  // as call/address.h reads it
  int default_port = kServicePort;       // where `host` names none
  double timeout_s = 0;                  // of one call; 0: none
  std::string tenant = {};               // for whom calls are made; "": nobody in particular
};

// A plaintext channel that accepts answers up to 64 MiB and retries what the server says is worth retrying. A server on
// this machine is reached directly, whatever proxies the environment names.
// REQUIRES: ParseAddress takes options.host.
std::shared_ptr<grpc::Channel> Connect(const ConnectionOptions& options);

// Applies timeout and tenant to one call.
void Prepare(const ConnectionOptions& options, grpc::ClientContext& context);

// From now on the libraries log nothing on stderr, unless GRPC_VERBOSITY or GRPC_TRACE asks for it.
void SilenceLibraries();

}  // namespace stepcast::cli

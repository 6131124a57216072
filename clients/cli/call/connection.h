#pragma once
// How the program reaches a server.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

namespace stepcast::cli {

constexpr int kServicePort = 50051;
constexpr int kAdminPort = 50052;

struct ConnectionOptions {
  // As call/address.h reads it; painting calls may name several, with commas between: those after the first are asked
  // where one before them is gone.
  std::string host = "localhost:50051";
  int default_port = kServicePort;  // where `host` names none
  double timeout_s = 0;             // of one call; 0: none
  std::string tenant = {};          // for whom calls are made; "": nobody in particular
  std::string token = {};           // bearer token; "": none
  bool tls = false;
  std::string ca_file = {};    // PEM: whom to trust; "": whom this machine trusts
  std::string cert_file = {};  // PEM: who this is, where the server asks; with key_file
  std::string key_file = {};

  // Whether the connection is TLS: it was asked for, or a file for it was named.
  bool secure() const { return tls || !ca_file.empty() || !cert_file.empty(); }
};

// What is wrong with the files for TLS, or with a token that would go over a network in plaintext; "" where nothing is.
std::string FindSecurityMistake(const ConnectionOptions& options);

// A channel that accepts answers up to 64 MiB and retries what the server says is worth retrying. A server on
// this machine is reached directly, whatever proxies the environment names.
// REQUIRES: ParseAddress takes options.host.
std::shared_ptr<grpc::Channel> Connect(const ConnectionOptions& options);

// The parts of options.host.
std::vector<std::string> HostsOf(const ConnectionOptions& options);

// When a call that begins now must be over; nullopt: whenever.
std::optional<gpr_timespec> DeadlineOf(const ConnectionOptions& options);

// Applies timeout, tenant and token to one call.
void Prepare(const ConnectionOptions& options, grpc::ClientContext& context);

// From now on the libraries log nothing on stderr, unless GRPC_VERBOSITY or GRPC_TRACE asks for it.
void SilenceLibraries();

}  // namespace stepcast::cli

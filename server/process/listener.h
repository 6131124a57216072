#pragma once
// One gRPC port.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"

namespace stepcast {

struct ListenerOptions {
  std::string name;                      // for errors: "gRPC"
  std::string host;                      // an address or name; IPv6 without brackets
  int port = 0;                          // 0 picks a free one
  std::vector<grpc::Service*> services;  // outlive the listener
  bool reflection = true;
  int64_t max_receive_bytes = 24 << 20;
};

// Serves until shut down.
//
// Thread-safety: all methods may be called from any thread.
class Listener {
 public:
  // Errors: FAILED_PRECONDITION, one line that names the address and the remedy, when it cannot be bound: also when
  // another process listens there, which gRPC would share silently.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(const ListenerOptions& options);
  // Shuts down without patience.
  ~Listener();

  int port() const { return port_; }

  // Refuses new calls at once; what still runs after `grace` is cancelled. Waits for all calls to end.
  void Shutdown(absl::Duration grace);

 private:
  Listener(std::unique_ptr<grpc::Server> server, int port) : server_(std::move(server)), port_(port) {}

  const std::unique_ptr<grpc::Server> server_;
  const int port_;
};

// "127.0.0.1:50051", "[::1]:50051".
std::string JoinHostPort(const std::string& host, int port);

}  // namespace stepcast

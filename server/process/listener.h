#pragma once
// One gRPC port.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"

namespace stepcast {

struct ListenerOptions {
  std::string name = {};                      // for errors: "gRPC"
  std::string host = {};                      // an address or name, IPv6 without brackets, or "unix:/path"
  int port = 0;                               // 0 picks a free one
  std::vector<grpc::Service*> services = {};  // outlive the listener
  std::shared_ptr<grpc::ServerCredentials> credentials = {};  // null: plaintext
  int socket_mode = 0660;                                     // of a Unix socket
  bool reflection = true;
  bool channelz = false;                   // gRPC's own service, which knows no tokens
  int64_t max_receive_bytes = 24 << 20;    // of one message; gRPC itself refuses more
  int64_t max_buffered_bytes = 256 << 20;  // of all connections together: beyond, the hungriest are closed
  int max_metadata_bytes = 8 << 10;        // of one call
  int max_calls_per_connection = 10'000;   // more wait in the client
  // Clients that ping more often while nothing is sent are told so and closed. docs/operations.md promises 10 s: the
  // rest is for networks that bring two pings together.
  absl::Duration min_ping_interval = absl::Seconds(5);
  // A peer that has been silent for so long is pinged, and given up when it does not answer in time: its network or its
  // machine has gone without a word.
  absl::Duration ping_after = absl::Seconds(30);
  absl::Duration ping_patience = absl::Seconds(10);
};

// Serves until shut down. Messages are not inflated: a compressed one is refused with UNIMPLEMENTED before that,
// because a megabyte could become a gigabyte.
//
// gRPC's threads, which copy what clients send and parse it, give way to engine threads (core/low_priority.h).
//
// Thread-safety: all methods may be called from any thread.
class Listener {
 public:
  // Errors: FAILED_PRECONDITION, one line that names the address and the remedy, when it cannot be bound: also when
  // another process listens there, which gRPC would share silently.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(const ListenerOptions& options);
  // Shuts down without patience.
  ~Listener();

  // 0 for a Unix socket.
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

#pragma once
// The certificates that the ports show, exchanged while they serve.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/security/server_credentials.h"
#include "server/config/tls_files.h"

namespace stepcast {

// gRPC 1.51 can watch files but judges none, and reads key and certificate one after the other: a pair that is half
// exchanged makes every handshake fail. So the operator's files are read and judged here, and gRPC watches two files in
// memory that this replaces each as a whole.
//
// Thread-safety: methods belong to one thread.
class Certificates {
 public:
  // Errors: those of ReadTlsFiles; INTERNAL when the kernel gives no file.
  static absl::StatusOr<std::unique_ptr<Certificates>> Load(const TlsConfig& config, absl::Time now);
  ~Certificates();

  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // For any number of ports.
  std::shared_ptr<grpc::ServerCredentials> credentials() const { return credentials_; }

  // Reads the files again. What is new is shown within two seconds, to connections from then on. Returns whether it is
  // new. Errors: as Load's; the old ones stay.
  absl::StatusOr<bool> Refresh(absl::Time now);

  absl::Time expires() const { return files_.expires; }

 private:
  explicit Certificates(const TlsConfig& config) : config_(config) {}
  absl::Status Show(const TlsFiles& files);

  const TlsConfig config_;
  TlsFiles files_;
  int identity_ = -1;  // memfds, which keep their numbers while their contents are exchanged
  int client_ca_ = -1;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
};

}  // namespace stepcast

#pragma once
// The files of a TlsConfig, read and judged: gRPC 1.51 takes whatever it finds, and every handshake fails until it
// finds something better.

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/config/tls_config.h"

namespace stepcast {

struct TlsFiles {
  std::string identity;   // PEM: the key, then the certificates
  std::string client_ca;  // PEM; "": clients show none
  absl::Time expires;     // of the server's certificate

  friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

// Errors: INVALID_ARGUMENT, one line per mistake, "path: message": a file that cannot be read or is no PEM, a key that
// is encrypted or another certificate's, a certificate that has expired by `now`. REQUIRES: config.on().
absl::StatusOr<TlsFiles> ReadTlsFiles(const TlsConfig& config, absl::Time now);

}  // namespace stepcast

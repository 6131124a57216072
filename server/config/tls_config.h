#pragma once
// How the public port (and, if told, the admin port) speaks TLS.

#include <string>

namespace stepcast {

enum class ClientAuth {
  kNone,      // clients show no certificate
  kOptional,  // who shows one must show a good one
  kRequired,
};

// "" for both files: plaintext.
struct TlsConfig {
  std::string cert_file = {};       // PEM: the server's certificate and what leads to its root
  std::string key_file = {};        // PEM, not encrypted
  std::string client_ca_file = {};  // PEM: whom clients' certificates must come from
  ClientAuth client_auth = ClientAuth::kNone;

  bool on() const { return !cert_file.empty(); }
};

}  // namespace stepcast

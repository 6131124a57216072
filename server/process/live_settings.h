#pragma once
// What of the configuration changes while the server serves: by SIGHUP, or because a file of tokens or certificates
// does.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/config/config.h"
#include "server/identity/access_rules.h"
#include "server/process/certificates.h"
#include "server/telemetry/operations_metrics.h"

namespace stepcast {

// The keys in which `fresh` differs from what the server was started with and that take a restart.
std::vector<std::string> KeysForRestart(const ServerConfig& started, const ServerConfig& fresh);

// Whatever is new is read and judged as a whole before anything of it counts; what is refused changes nothing, and the
// log says why.
//
// Thread-safety: methods belong to one thread.
class LiveSettings {
 public:
  struct Parts {
    Access& access;
    Certificates* certificates;  // null: plaintext
    OperationsMetrics& metrics;
  };

  // `parts` must outlive it; `config` is what the server was started with.
  LiveSettings(const ServerConfig& config, const Parts& parts);

  // Reads tokens and certificates again if their files have changed; meant for once a second.
  void Look(absl::Time now);

  // Takes tokens, tenants, limits and the log's level of `fresh`. `judge` has the last word on it, `take` is called
  // with what is taken. Keys that differ and need a restart are logged.
  void Reload(absl::StatusOr<ServerConfig> fresh, absl::Time now,
              const std::function<absl::Status(const ServerConfig&)>& judge,
              const std::function<void(const ServerConfig&)>& take);

 private:
  void LookAtTokens(absl::Time now);
  void LookAtCertificates(absl::Time now);
  std::string TokenStamp() const;
  std::string CertificateStamp() const;

  const ServerConfig started_;
  ServerConfig config_;
  const Parts parts_;
  std::string tokens_;
  std::string certificates_;
};

}  // namespace stepcast

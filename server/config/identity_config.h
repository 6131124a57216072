#pragma once
// Who may call, and how much each may have.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace stepcast {

// What one tenant may have. Of pictures and work each device counts for itself; the rest counts for the server.
struct TenantConfig {
  double weight = 1.0;   // share of device time against others, 0.001..1000; of named tenants, the others weigh 1
  int max_pictures = 0;  // pictures in the server, waiting or being painted, 0..100000; 0: no limit
  int max_queued = 0;    // pictures that wait, 0..100000; 0: no limit
  absl::Duration max_queued_work = absl::InfiniteDuration();  // device time that those need, "none" or 1 s..24 h

  std::optional<std::vector<std::string>> models = {};  // ids that it may use; nullopt: all
  int max_rows = 0;                  // denoiser rows of one request: two for each guided picture, 0..1024; 0: no limit
  int64_t max_upload_bytes = 0;      // of the pictures that come with one request, 0..67108864; 0: no limit of its own
  double requests_per_second = 0.0;  // painting calls in the long run, 0..1000000; 0: no limit
  int request_burst = 10;            // of them at once, 1..1000000
  double row_seconds_per_second = 0.0;  // device time (a tick's is divided among its rows) in the long run, 0..1000000
  double row_seconds_burst = 60.0;      // that may be used at once, 0.001..1000000

  friend bool operator==(const TenantConfig&, const TenantConfig&) = default;
};

// For whom calls are made (server/request/tenants.h).
struct TenantsConfig {
  std::string metadata_key = "x-stepcast-tenant";  // gRPC metadata that names the tenant; "": all calls are "default"
  int max = 256;                                   // names beyond `named` that are told apart, 0..100000
  TenantConfig defaults = {};                      // of the tenant "default" and of those not named
  std::map<std::string, TenantConfig> named = {};

  // What `tenant` may have.
  const TenantConfig& Of(const std::string& tenant) const {
    const auto found = named.find(tenant);
    return found == named.end() ? defaults : found->second;
  }

  friend bool operator==(const TenantsConfig&, const TenantsConfig&) = default;
};

// Who may call the public port.
struct AuthConfig {
  std::string token_file = {};  // server/config/token_file.h; "": everybody, and the tenant is what the call claims
};

// The port of operators.
struct AdminConfig {
  std::string token_file = {};  // as AuthConfig's; "": everybody who reaches the port
  bool tls = false;             // as the public port's (TlsConfig)
  bool channelz = false;        // gRPC's own account of connections, which names peers
};

}  // namespace stepcast

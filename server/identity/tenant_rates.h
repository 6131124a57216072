#pragma once
// How fast each tenant may go on.

#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "server/config/identity_config.h"
#include "server/identity/token_bucket.h"

namespace stepcast {

// A bucket of requests and one of row-seconds for each tenant that has such a limit. A request takes its token when it
// comes; row-seconds are taken as ticks end, so that the bucket may be overdrawn, and new requests wait until it is
// not.
//
// Thread-safety: all methods may be called from any thread; the lock is held for a few assignments.
class TenantRates {
 public:
  // `clock` must outlive it.
  explicit TenantRates(const Clock& clock) : clock_(clock) {}

  // Lets one painting call of `tenant` in. Errors, made by MakeError: TENANT_LIMIT, with RetryInfo and QuotaFailure;
  // nothing is taken then.
  absl::Status Admit(const std::string& tenant, const TenantConfig& limits);

  // `tenant` had `had` of a device.
  void Charge(std::string_view tenant, absl::Duration had);

 private:
  struct Buckets {
    std::optional<TokenBucket> requests;
    std::optional<TokenBucket> row_seconds;
  };

  const Clock& clock_;
  Mutex mutex_;
  // Of tenants with a limit: those of the configuration, and the few others that are told apart.
  absl::flat_hash_map<std::string, Buckets> tenants_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast

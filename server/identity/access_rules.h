#pragma once
// What decides who may do what. Replaced as a whole, never changed.

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "server/config/config.h"
#include "server/identity/token_table.h"

namespace stepcast {

struct AccessRules {
  TenantsConfig tenants = {};
  LimitsConfig limits = {};                     // of every request
  std::optional<TokenTable> tokens = {};        // of the public port; nullopt: nobody is asked for one
  std::optional<TokenTable> admin_tokens = {};  // of the admin port, likewise
};
using SharedAccess = std::shared_ptr<const AccessRules>;

// Reads the files that `config` names.
// Errors: those of LoadTokens, of both files; INVALID_ARGUMENT for a file without a token that has not expired by
// `now`: nobody could call.
absl::StatusOr<SharedAccess> LoadAccess(const ServerConfig& config, absl::Time now);

// The rules of the moment.
//
// Thread-safety: all methods may be called from any thread.
class Access {
 public:
  explicit Access(SharedAccess rules) : rules_(std::move(rules)) {}

  // Calls keep what they began with.
  SharedAccess rules() const {
    MutexLock lock(mutex_);
    return rules_;
  }
  void Replace(SharedAccess rules) {
    MutexLock lock(mutex_);
    rules_ = std::move(rules);
  }

 private:
  mutable Mutex mutex_;
  SharedAccess rules_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast

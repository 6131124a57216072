#pragma once
// For whom calls are made.

#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/mutex.h"
#include "server/config/identity_config.h"

namespace stepcast {

// The names that this server tells apart: those of the configuration, and the first `max` others. The rest counts as
// "default", so that callers who invent names grow neither tables nor series.
//
// A name is what the caller says: whether it is true is the business of whoever lets callers in. Tokens bring names of
// their own (server/identity/gate.h).
//
// Thread-safety: all methods may be called from any thread.
class Tenants {
 public:
  // The tenant of a call whose metadata says `claimed`; nothing, or "", is the default.
  // Errors, made by MakeError: FIELD_INVALID, naming the metadata key, for what cannot be a name, and for two names of
  // which only one can be meant: a proxy that appends to what it should have replaced.
  absl::StatusOr<std::string> Resolve(const TenantsConfig& config, absl::Span<const std::string_view> claimed);

 private:
  Mutex mutex_;
  absl::flat_hash_set<std::string> known_ ABSL_GUARDED_BY(mutex_);  // beyond those of the configuration
};

// The tenants that have series of their own: "default" and those of the configuration. The others share one.
std::vector<std::string> TenantLabels(const TenantsConfig& config);

}  // namespace stepcast

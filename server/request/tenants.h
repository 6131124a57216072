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
#include "server/config/config.h"

namespace stepcast {

// The names that this server tells apart: those of the configuration, and the first `max` others. The rest counts as
// "default", so that callers who invent names grow neither tables nor series.
//
// A name is what the caller says: whether it is true is the business of whoever lets callers in.
//
// Thread-safety: all methods may be called from any thread.
class Tenants {
 public:
  // `config` must outlive this.
  explicit Tenants(const TenantsConfig& config) : config_(config) {}

  // The tenant of a call whose metadata says `claimed`; nothing, or "", is the default.
  // Errors, made by MakeError: FIELD_INVALID, naming the metadata key, for what cannot be a name, and for two names of
  // which only one can be meant: a proxy that appends to what it should have replaced.
  absl::StatusOr<std::string> Resolve(absl::Span<const std::string_view> claimed);

  // The tenants that have series of their own: "default" and those of the configuration. The others share one.
  std::vector<std::string> Labels() const;

 private:
  const TenantsConfig& config_;
  Mutex mutex_;
  absl::flat_hash_set<std::string> known_ ABSL_GUARDED_BY(mutex_);  // beyond those of the configuration
};

}  // namespace stepcast

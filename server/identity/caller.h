#pragma once
// Who calls, and what that one may use.

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/generation_request.h"
#include "server/catalog/model_registry.h"
#include "server/identity/access_rules.h"

namespace stepcast {

// Known once, when the call comes in; a reload that follows is for later calls.
//
// Thread-safety: const methods may be called from any thread.
class Caller {
 public:
  // `token`: its name in the file; "" where there is none.
  Caller(std::string tenant, std::string token, SharedAccess access)
      : tenant_(std::move(tenant)), token_(std::move(token)), access_(std::move(access)) {}

  const std::string& tenant() const { return tenant_; }
  const std::string& token() const { return token_; }
  const TenantConfig& limits() const { return access_->tenants.Of(tenant_); }
  const LimitsConfig& server_limits() const { return access_->limits; }

  // Whether the tenant may use the model called `id`.
  bool MayUse(const std::string& id) const;

  // What `name` means for this caller: itself, and for "" the first model that it may use, the default model if that is
  // one. Whether there are others is nobody's business.
  // Errors, made by MakeError: MODEL_FORBIDDEN for a model that is not the tenant's or does not exist; where the tenant
  // may use all, nothing is looked up and there are none.
  absl::StatusOr<std::string> ModelFor(const std::string& name, const ModelRegistry& models) const;

  // Whether one request of the tenant may be so large; `upload_bytes`: of the pictures that came with it.
  // Errors, made by MakeError: WORK_LIMIT.
  absl::Status CheckSize(const GenerationRequest& request, int64_t upload_bytes) const;

 private:
  std::string tenant_;
  std::string token_;
  SharedAccess access_;
};

}  // namespace stepcast

#pragma once
// Whether a call may come in at all, and as whom.

#include <map>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "grpcpp/support/string_ref.h"
#include "server/identity/access_rules.h"
#include "server/identity/caller.h"
#include "server/request/tenants.h"

namespace stepcast {

enum class Port { kPublic, kAdmin };

// What a call brings beside its message.
using CallMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// Asked for every call of every service of ours but health and reflection, before its message is read.
//
// In our own call path, not in gRPC's AuthMetadataProcessor: on insecure credentials gRPC 1.51 aborts the process when
// one is set, and a check that holds with TLS alone is none.
//
// Thread-safety: const methods may be called from any thread.
class Gate {
 public:
  // All must outlive it.
  Gate(Port port, const Access& access, Tenants& tenants, const Clock& clock)
      : port_(port), access_(access), tenants_(tenants), clock_(clock) {}

  // Who calls `method` ("Generate"). Where the port has tokens: the tenant of the one in "authorization: Bearer ...",
  // and a tenant that the metadata claims besides must be the same. Where it has none, the tenant that they claim.
  // Errors, made by MakeError: TOKEN_MISSING, TOKEN_INVALID (unknown, expired, or two that differ), METHOD_FORBIDDEN
  // (another role's, or none's), FIELD_INVALID for a claim that cannot be.
  absl::StatusOr<Caller> Admit(std::string_view method, const CallMetadata& metadata) const;

 private:
  absl::StatusOr<Caller> AdmitToken(std::string_view method, const CallMetadata& metadata, SharedAccess rules) const;

  const Port port_;
  const Access& access_;
  Tenants& tenants_;
  const Clock& clock_;
};

}  // namespace stepcast

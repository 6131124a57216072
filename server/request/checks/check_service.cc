#include "absl/strings/str_cat.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {

namespace {

// The token itself is read later: it is bound to all that the request resolves to.
void CheckResume(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const ResumeLimits& limits = context.limits.resume;
  if (!wire.resume_token().empty()) {
    const auto bytes = static_cast<int64_t>(wire.resume_token().size());
    const std::string got = absl::StrCat(bytes, " bytes");
    if (bytes > limits.max_token_bytes) {
      violations.Add("resume_token", got,
                     limits.max_token_bytes == 0
                         ? "unset: the server hands out none"
                         : absl::StrCat("at most ", limits.max_token_bytes,
                                        ", see ServerLimits.max_resume_token_bytes of GetServerInfo"));
    }
    if (resolved.image_count != 1) {
      violations.Add("image_count", absl::StrCat(resolved.image_count),
                     "1 beside resume_token: a token is one picture's");
    }
    if (!wire.has_seed()) violations.Add("seed", "nothing", "that of the picture, beside resume_token");
  }
  if (!wire.has_checkpoint_every() || wire.checkpoint_every() == 0) return;
  if (limits.min_checkpoint_every == 0) {
    violations.Add("checkpoint_every", absl::StrCat(wire.checkpoint_every()), "0: the server hands out no tokens");
  } else if (violations.CheckRange("checkpoint_every", wire.checkpoint_every(), limits.min_checkpoint_every, 100'000,
                                   "ServerLimits.min_checkpoint_every of GetServerInfo")) {
    resolved.checkpoint_every = wire.checkpoint_every();
  }
}

}  // namespace

void CheckService(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::Priority wire = context.wire.priority();
  if (!v1::Priority_IsValid(wire)) {
    violations.Add("priority", absl::StrCat(static_cast<int>(wire)),
                   "PRIORITY_INTERACTIVE, PRIORITY_STANDARD, PRIORITY_BATCH");
  }
  resolved.priority = FromProto(wire).value_or(Priority::kStandard);
  resolved.tenant = context.tenant;
  CheckResume(context, resolved, violations);
}

}  // namespace stepcast

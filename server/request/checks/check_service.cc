#include "absl/strings/str_cat.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {

void CheckService(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::Priority wire = context.wire.priority();
  if (!v1::Priority_IsValid(wire)) {
    violations.Add("priority", absl::StrCat(static_cast<int>(wire)),
                   "PRIORITY_INTERACTIVE, PRIORITY_STANDARD, PRIORITY_BATCH");
  }
  resolved.priority = FromProto(wire).value_or(Priority::kStandard);
  resolved.tenant = context.tenant;
}

}  // namespace stepcast

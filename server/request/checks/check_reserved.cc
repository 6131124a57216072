// Fields of the contract that this server does not serve: refused by name, never ignored.

#include "absl/strings/str_cat.h"
#include "server/request/checks/request_checks.h"

namespace stepcast {

void CheckReserved(const RequestContext& context, GenerationRequest&, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const v1::SizeConditioning& sizes = wire.size_conditioning();
  if (sizes.has_negative_original_width() || sizes.has_negative_original_height() || sizes.has_negative_crop_left() ||
      sizes.has_negative_crop_top() || sizes.has_negative_target_width() || sizes.has_negative_target_height()) {
    violations.Add("size_conditioning.negative_original_width", "set", "unset");
  }
}

}  // namespace stepcast

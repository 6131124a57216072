// Pictures that come with the request.

#include <string>

#include "absl/strings/str_cat.h"
#include "server/request/request_checks.h"

namespace stepcast {

void CheckPictures(const RequestContext& context, GenerationRequest& /*resolved*/, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const auto refuse = [&](bool is_set, absl::string_view field) {
    if (is_set) violations.Add(field, "a value", absl::StrCat("unset (", context.info().id, " takes no pictures)"));
  };
  refuse(wire.has_image_guidance_scale(), "image_guidance_scale");
  refuse(wire.has_init_image(), "init_image");
  refuse(wire.has_mask_image(), "mask_image");
  refuse(wire.has_strength(), "strength");
  refuse(wire.resize_mode() != v1::RESIZE_MODE_UNSPECIFIED, "resize_mode");
  refuse(wire.has_inpaint(), "inpaint");
  refuse(wire.has_invert(), "invert");
  refuse(!wire.sent_pictures().empty(), "sent_pictures");
  refuse(!wire.control().empty(), "control");
}

}  // namespace stepcast

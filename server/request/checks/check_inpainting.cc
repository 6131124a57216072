// What is repainted of a picture, and how.

#include "absl/strings/str_cat.h"
#include "server/request/checks/picture_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

constexpr double kMaxBlur = 64.0;
constexpr int kMaxPadding = 1024;

void CheckMask(const RequestContext& context, FieldViolations& violations) {
  const ModelInfo& info = context.info();
  const bool is_set = context.wire.has_mask_image();
  if (is_set && info.image_input == ImageInput::kPicture) {
    violations.Add(kMaskImage, "a picture", absl::StrCat("unset (", info.id, " is told by words what to change)"));
  } else if (is_set && !context.wire.has_init_image()) {
    violations.Add(kMaskImage, "a picture", "unset without init_image");
  } else if (!is_set && info.image_input == ImageInput::kMaskAndPicture) {
    violations.Add(kMaskImage, "nothing", absl::StrCat("a picture (", info.id, " is made for inpainting)"));
  }
}

void CheckOptions(const v1::InpaintOptions& wire, GenerationRequest& resolved, FieldViolations& violations) {
  MaskSettings& settings = resolved.mask_settings;
  Inpainting& inpainting = *resolved.inpainting;
  if (wire.has_blur() && violations.CheckReal("inpaint.blur", wire.blur(), 0.0, kMaxBlur)) settings.blur = wire.blur();
  settings.only_masked = wire.only_masked();
  settings.invert = wire.invert();
  inpainting.differential = wire.differential();
  if (wire.has_padding() && !wire.only_masked()) {
    violations.Add("inpaint.padding", absl::StrCat(wire.padding()), "unset without inpaint.only_masked");
  } else if (wire.has_padding() && violations.CheckRange("inpaint.padding", wire.padding(), 0, kMaxPadding)) {
    settings.padding = wire.padding();
  }
  if (!v1::InpaintFill_IsValid(wire.fill())) {
    violations.Add("inpaint.fill", absl::StrCat(static_cast<int>(wire.fill())),
                   "INPAINT_FILL_ORIGINAL, INPAINT_FILL_NOISE");
  }
  if (!v1::BlendDomain_IsValid(wire.blend_domain())) {
    violations.Add("inpaint.blend_domain", absl::StrCat(static_cast<int>(wire.blend_domain())),
                   "BLEND_DOMAIN_LATENTS, BLEND_DOMAIN_X0");
  }
  inpainting.fill = FromProto(wire.fill()).value_or(InpaintFill::kOriginal);
  inpainting.blend_domain = FromProto(wire.blend_domain()).value_or(BlendDomain::kLatents);
}

}  // namespace

void CheckInpainting(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  CheckMask(context, violations);
  if (!context.wire.has_mask_image()) {
    if (context.wire.has_inpaint()) violations.Add("inpaint", "a message", "unset without mask_image");
    return;
  }
  resolved.inpainting.emplace();
  CheckOptions(context.wire.inpaint(), resolved, violations);
}

}  // namespace stepcast

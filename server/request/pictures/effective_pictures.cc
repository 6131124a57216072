#include "server/request/pictures/effective_pictures.h"

#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

void SetInpaint(const GenerationRequest& request, v1::GenerateRequest& wire) {
  if (!request.inpainting.has_value()) return;
  const MaskSettings& settings = request.mask_settings;
  v1::InpaintOptions& inpaint = *wire.mutable_inpaint();
  inpaint.set_blur(settings.blur);
  inpaint.set_only_masked(settings.only_masked);
  if (settings.only_masked) inpaint.set_padding(settings.padding);
  inpaint.set_invert(settings.invert);
  inpaint.set_fill(ToProto(request.inpainting->fill));
  inpaint.set_blend_domain(ToProto(request.inpainting->blend_domain));
  inpaint.set_differential(request.inpainting->differential);
}

void SetControl(const GenerationRequest& request, v1::GenerateRequest& wire) {
  for (const ControlInput& input : request.control) {
    v1::ControlInput& control = *wire.add_control();
    control.set_model(input.model);
    control.set_scale(input.scale);
    control.set_start(input.start);
    control.set_end(input.end);
    if (input.control_type.has_value()) control.set_control_type(*input.control_type);
    control.set_guess_mode(input.guess_mode);
  }
}

}  // namespace

void SetPictures(const GenerationRequest& request, v1::GenerateRequest& wire) {
  const bool told = request.model->image_input == ImageInput::kPicture;
  const bool has_init = request.init_image.image != nullptr;
  if (!has_init && request.control.empty()) return;
  wire.set_resize_mode(ToProto(request.resize_mode));
  if (has_init && told) wire.set_image_guidance_scale(request.image_guidance_scale);
  if (has_init && !told && !request.invert) wire.set_strength(request.strength);
  if (request.invert) wire.set_invert(true);
  SetInpaint(request, wire);
  SetControl(request, wire);
  for (const SentPicture& picture : request.sent_pictures) {
    v1::SentPicture& sent = *wire.add_sent_pictures();
    sent.set_field(picture.field);
    sent.set_sha256(picture.sha256);
    sent.set_width(picture.width);
    sent.set_height(picture.height);
  }
}

}  // namespace stepcast

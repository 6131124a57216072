#pragma once
// The groups of checks around pictures that come with a request; rules as in request_checks.h.

#include <optional>
#include <string>

#include "server/request/checks/request_checks.h"
#include "server/request/pictures/picture_files.h"

namespace stepcast {

// The picture that gives width and height where the request does not, and the field that holds it.
std::optional<PictureHeader> SizeGivingPicture(const RequestContext& context, std::string* field);

// init_image, resize_mode, sent_pictures, the files and the sizes of all pictures. After CheckSize.
void CheckPictures(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// strength, invert, image_guidance_scale. After CheckSampling.
void CheckImageToImage(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// mask_image, inpaint.
void CheckInpainting(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// control.
void CheckControl(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

}  // namespace stepcast

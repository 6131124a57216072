#include "server/call/picture_encoder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/image_codec.h"
#include "core/sampling_types.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/string_view.h"

namespace stepcast {
namespace {

// Small and blurred anyway; half the bytes of the default of finished pictures.
constexpr int kPreviewQuality = 80;

}  // namespace

absl::StatusOr<EncodedPicture> EncodePicture(const Image& image, const GenerationRequest& request, int image_index) {
  EncodeOptions options;
  options.format = request.output.format;
  options.quality = request.output.quality;
  if (request.output.embed_parameters) options.parameters = PngParameters(request, image_index);
  EncodedPicture picture;
  STEPCAST_ASSIGN_OR_RETURN(picture.data, EncodeImage(image, options));
  picture.mime = MimeType(options.format);
  picture.width = image.width;
  picture.height = image.height;
  picture.seed = request.seed + image_index;
  picture.sha256 = Sha256Hex(picture.data);
  return picture;
}

absl::StatusOr<EncodedPicture> EncodePreview(const Image& image, const GenerationRequest& request) {
  const int picture_side = std::max(request.width, request.height);
  const int side = std::max(image.width, image.height);
  // 0 asks for what the preview decoder made; FitWithin would also enlarge.
  const int wanted = request.preview.max_side == 0 ? side : std::min(request.preview.max_side, picture_side);
  Image fitted;
  if (side != wanted) fitted = FitWithin(image, wanted);
  const Image& shown = side != wanted ? fitted : image;

  EncodedPicture picture;
  EncodeOptions options;
  options.format = request.preview.format;
  options.quality = kPreviewQuality;
  STEPCAST_ASSIGN_OR_RETURN(picture.data, EncodeImage(shown, options));
  picture.mime = MimeType(request.preview.format);
  picture.width = shown.width;
  picture.height = shown.height;
  return picture;
}

std::string PngParameters(const GenerationRequest& request, int image_index) {
  std::string text;
  if (!request.prompt.empty()) absl::StrAppend(&text, request.prompt, "\n");
  if (!request.negative_prompt.empty()) absl::StrAppend(&text, "Negative prompt: ", request.negative_prompt, "\n");
  absl::StrAppend(&text, "Steps: ", request.steps, ", Sampler: ", ToAbsl(SamplerName(request.sampler)),
                  ", CFG scale: ", request.guidance_scale, ", Seed: ", request.seed + image_index);
  absl::StrAppend(&text, ", Size: ", request.width, "x", request.height, ", Model: ", request.model->id);
  if (!request.model->sha256.empty()) absl::StrAppend(&text, ", Model hash: ", request.model->sha256.substr(0, 10));
  if (request.eta != 0.0) absl::StrAppend(&text, ", Eta: ", request.eta);
  if (request.clip_skip != 0) absl::StrAppend(&text, ", Clip skip: ", request.clip_skip);
  if (request.class_index) absl::StrAppend(&text, ", Class: ", *request.class_index);
  absl::StrAppend(&text, ", Version: stepcast");
  return text;
}

}  // namespace stepcast

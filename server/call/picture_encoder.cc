#include "server/call/picture_encoder.h"

#include <algorithm>
#include <utility>

#include "codec/files/image_codec.h"
#include "codec/pixels/mask_operations.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "server/request/pictures/picture_parameters.h"

namespace stepcast {
namespace {

// Small and blurred anyway; half the bytes of the default of finished pictures.
constexpr int kPreviewQuality = 80;

EmbeddedTexts TextsOf(const GenerationRequest& request, int image_index) {
  const PictureParameters parameters = ParametersOf(request, image_index);
  if (request.output.format != ImageFormat::kPng) return {.parameters = parameters.Joined()};
  return {.parameters = parameters.infotext, .stepcast = parameters.request_json};
}

}  // namespace

absl::StatusOr<EncodedPicture> EncodePicture(const Image& image, const GenerationRequest& request, int image_index) {
  EncodeOptions options;
  options.format = request.output.format;
  options.quality = request.output.quality;
  if (request.output.embed_parameters) options.texts = TextsOf(request, image_index);
  EncodedPicture picture;
  Image pasted;
  if (request.paste_back.has_value()) pasted = Paste(*request.paste_back, image);
  const Image& finished = request.paste_back.has_value() ? pasted : image;
  STEPCAST_ASSIGN_OR_RETURN(picture.data, EncodeImage(finished, options));
  picture.mime = MimeType(options.format);
  picture.width = finished.width;
  picture.height = finished.height;
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

}  // namespace stepcast

#pragma once
// JPEG through libjpeg-turbo. Callers use codec/files/image_codec.h.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/files/image_codec.h"
#include "codec/files/picture_header.h"
#include "codec/pixels/pixels.h"
#include "core/image.h"

namespace stepcast {

bool IsJpeg(std::string_view bytes);

// Writes a baseline JPEG; chroma has full resolution from quality 90 up, half below.
// `comment` becomes the EXIF tag UserComment; "" for none.
// REQUIRES: `image` is consistent, `quality` in 1..100. Errors: INVALID_ARGUMENT for a side above 65500, a comment that
// is no text or above kMaxJpegExifBytes; INTERNAL.
absl::StatusOr<std::string> EncodeJpeg(const Image& image, int quality, std::string_view comment = "");

// Looks at the segments before the first scan. REQUIRES: IsJpeg(bytes).
// Errors: INVALID_ARGUMENT for CMYK, a file without a frame, or a too large picture.
absl::StatusOr<PictureHeader> ReadJpegHeader(std::string_view bytes, const DecodeLimits& limits);

// Reads baseline and progressive JPEG in grey or YCbCr: RGB as stored. Colour profiles are ignored.
// REQUIRES: IsJpeg(bytes). Errors: INVALID_ARGUMENT for CMYK, a damaged or too large picture, or too many scans.
absl::StatusOr<Pixels> DecodeJpeg(std::string_view bytes, const DecodeLimits& limits);

}  // namespace stepcast

#pragma once
// WebP through libwebp. Callers use codec/files/image_codec.h.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/files/image_codec.h"
#include "codec/files/picture_header.h"
#include "codec/pixels/pixels.h"
#include "core/image.h"

namespace stepcast {

bool IsWebp(std::string_view bytes);

// Writes a lossy WebP. `comment` becomes the EXIF tag UserComment; "" for none.
// REQUIRES: `image` is consistent, `quality` in 1..100.
// Errors: INVALID_ARGUMENT for a side above 16383 or a comment that is no text; INTERNAL.
absl::StatusOr<std::string> EncodeWebp(const Image& image, int quality, std::string_view comment = "");

// Looks at the chunks' headers alone. REQUIRES: IsWebp(bytes).
// Errors: INVALID_ARGUMENT for an animated, damaged or too large picture.
absl::StatusOr<PictureHeader> ReadWebpHeader(std::string_view bytes, const DecodeLimits& limits);

// Reads a still WebP, lossy or lossless: RGB, or RGBA where there is alpha, as stored. REQUIRES: IsWebp(bytes).
// Errors: INVALID_ARGUMENT for an animated, damaged or too large picture.
absl::StatusOr<Pixels> DecodeWebp(std::string_view bytes, const DecodeLimits& limits);

}  // namespace stepcast

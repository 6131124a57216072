#pragma once
// WebP through libwebp. Callers use codec/image_codec.h.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/image_codec.h"
#include "core/image.h"

namespace stepcast {

bool IsWebp(std::string_view bytes);

// Writes a lossy WebP. `comment` becomes the EXIF tag UserComment; "" for none.
// REQUIRES: `image` is consistent, `quality` in 1..100.
// Errors: INVALID_ARGUMENT for a side above 16383 or a comment that is no text; INTERNAL.
absl::StatusOr<std::string> EncodeWebp(const Image& image, int quality, std::string_view comment = "");

// Reads a still WebP, lossy or lossless; alpha is composed over white. REQUIRES: IsWebp(bytes).
// Errors: INVALID_ARGUMENT for an animated, damaged or too large picture.
absl::StatusOr<Image> DecodeWebp(std::string_view bytes, const DecodeLimits& limits);

}  // namespace stepcast

#pragma once
// PNG through libpng. Callers use codec/files/image_codec.h.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "codec/files/image_codec.h"
#include "codec/files/picture_header.h"
#include "codec/pixels/pixels.h"
#include "core/image.h"

namespace stepcast {

bool IsPng(std::string_view bytes);

// Writes an 8-bit RGB PNG. Each text becomes a tEXt chunk of its name, or iTXt when it is not Latin-1; "" for none.
// REQUIRES: `image` is consistent. Errors: INVALID_ARGUMENT when a text is not UTF-8 or has a NUL; INTERNAL.
absl::StatusOr<std::string> EncodePng(const Image& image, const EmbeddedTexts& texts);

// Looks at the chunks' headers alone. REQUIRES: IsPng(bytes).
// Errors: INVALID_ARGUMENT for an animated or too large picture, or a file without a first chunk.
absl::StatusOr<PictureHeader> ReadPngHeader(std::string_view bytes, const DecodeLimits& limits);

// Reads any still PNG: palettes, grey, 16 bits (scaled to 8), interlacing. RGB, or RGBA where there is transparency, as
// stored. Colour profiles, gamma and texts are skipped unread. REQUIRES: IsPng(bytes).
// Errors: INVALID_ARGUMENT for an animated, damaged or too large picture.
absl::StatusOr<Pixels> DecodePng(std::string_view bytes, const DecodeLimits& limits);

}  // namespace stepcast

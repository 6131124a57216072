#pragma once
// EXIF that holds one text, the tag UserComment: where JPEG and WebP files keep what PNG keeps in text chunks.

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace stepcast {

// The most that one JPEG segment holds beside its own header.
inline constexpr size_t kMaxJpegExifBytes = 65'527;

// A TIFF structure whose only text is `comment`, in ASCII or big-endian UTF-16, as the EXIF library piexif writes it.
// Errors: INVALID_ARGUMENT when `comment` is not UTF-8 or has a NUL.
absl::StatusOr<std::string> ExifWithComment(std::string_view comment);

}  // namespace stepcast

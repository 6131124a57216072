#include "codec/files/picture_header.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "codec/files/jpeg_codec.h"
#include "codec/files/pixel_limits.h"
#include "codec/files/png_codec.h"
#include "codec/files/webp_codec.h"
#include "core/error_reason.h"

namespace stepcast {

absl::StatusOr<PictureHeader> ReadPictureHeader(std::string_view bytes, const DecodeLimits& limits) {
  if (bytes.empty() || bytes.size() > limits.max_bytes) {
    const std::string message = absl::StrCat("file has ", bytes.size(), " bytes; allowed are 1..", limits.max_bytes);
    if (bytes.empty()) return UndecodableError(message);
    return WithReason(absl::InvalidArgumentError(message), "IMAGE_TOO_LARGE");
  }
  if (IsPng(bytes)) return ReadPngHeader(bytes, limits);
  if (IsJpeg(bytes)) return ReadJpegHeader(bytes, limits);
  if (IsWebp(bytes)) return ReadWebpHeader(bytes, limits);
  return UndecodableError("file is no PNG, JPEG or WebP by its first bytes");
}

}  // namespace stepcast

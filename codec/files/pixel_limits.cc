#include "codec/files/pixel_limits.h"

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"

namespace stepcast {

absl::Status CheckPixelLimits(const std::string& kind, int64_t width, int64_t height, const DecodeLimits& limits) {
  // Sides are below 2^32 in every format, so that their product fits.
  const bool is_empty = width < 1 || height < 1;
  if (!is_empty && width <= limits.max_side && height <= limits.max_side && width * height <= limits.max_pixels) {
    return absl::OkStatus();
  }
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat(kind, " of ", width, "x", height, " pixels; allowed are sides of 1..",
                                              limits.max_side, " and ", limits.max_pixels, " pixels in all")),
      is_empty ? "IMAGE_UNDECODABLE" : "IMAGE_TOO_LARGE");
}

absl::Status UndecodableError(const std::string& message) {
  return WithReason(absl::InvalidArgumentError(message), "IMAGE_UNDECODABLE");
}

absl::Status DamagedError(const std::string& kind) {
  return UndecodableError(absl::StrCat(kind, " is damaged, cut short or of an unsupported kind"));
}

}  // namespace stepcast

#pragma once
// Size rules that every codec checks before it allocates.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "codec/files/image_codec.h"

namespace stepcast {

// OK when a picture of `width` x `height` pixels is within `limits`. `kind` ("PNG") begins the message.
// Errors: INVALID_ARGUMENT, IMAGE_TOO_LARGE, saying the size and the limits; IMAGE_UNDECODABLE for an empty picture.
absl::Status CheckPixelLimits(const std::string& kind, int64_t width, int64_t height, const DecodeLimits& limits);

// INVALID_ARGUMENT, IMAGE_UNDECODABLE.
absl::Status UndecodableError(const std::string& message);

// The one message for a file whose content does not decode.
absl::Status DamagedError(const std::string& kind);

}  // namespace stepcast

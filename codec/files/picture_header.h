#pragma once
// What a picture file says of itself before anything is decoded.

#include <string_view>

#include "absl/status/statusor.h"
#include "codec/files/image_codec.h"
#include "codec/pixels/orientation.h"

namespace stepcast {

struct PictureHeader {
  ImageFormat format = ImageFormat::kPng;
  int width = 0;   // pixels, as stored
  int height = 0;  // pixels, as stored
  Orientation orientation = kUpright;

  int upright_width() const { return ExchangesSides(orientation) ? height : width; }
  int upright_height() const { return ExchangesSides(orientation) ? width : height; }
};

// Reads the header of a PNG, JPEG or WebP. Allocates nothing; time is linear in the number of chunks or segments.
// Errors: as DecodeImage's, for what can be seen without decoding.
absl::StatusOr<PictureHeader> ReadPictureHeader(std::string_view bytes, const DecodeLimits& limits);

}  // namespace stepcast

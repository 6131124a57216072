#pragma once
// Pictures to files in memory and back.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/generation_request.h"
#include "core/image.h"
#include "core/input_picture.h"

namespace stepcast {

// Texts that go into the file: UTF-8 without NUL; "" for none.
struct EmbeddedTexts {
  std::string parameters = {};  // PNG: a text chunk "parameters" (tEXt, or iTXt beyond Latin-1); else EXIF UserComment
  std::string stepcast = {};    // PNG only: a text chunk "stepcast"
};

struct EncodeOptions {
  ImageFormat format = ImageFormat::kPng;
  int quality = 90;  // 1..100; JPEG and WebP
  EmbeddedTexts texts = {};
};

// Returns the bytes of a PNG, baseline JPEG or lossy WebP file.
// Errors: INVALID_ARGUMENT for an empty picture, one whose byte count does not fit its size, or texts that the format
// cannot hold (JPEG: those above kMaxJpegExifBytes); INTERNAL.
absl::StatusOr<std::string> EncodeImage(const Image& image, const EncodeOptions& options);

struct DecodeLimits {
  size_t max_bytes = 10u << 20;
  int64_t max_pixels = 16'000'000;
  int max_side = 4096;
};

// Reads a single-frame PNG, JPEG or WebP, recognised by its magic bytes, into 8-bit RGB: alpha is composed over white,
// EXIF's orientation applied, colour profiles are ignored. Sizes are checked before any pixel is allocated.
// Errors: INVALID_ARGUMENT saying what came and what is allowed, with the reason IMAGE_TOO_LARGE or IMAGE_UNDECODABLE
// (core/error_reason.h); never library text. INTERNAL without memory.
absl::StatusOr<Image> DecodeImage(std::string_view bytes, const DecodeLimits& limits);

// As DecodeImage, into luminance (ITU-R 601, as Pillow's "L") times opacity; where all that is not transparent has one
// luminance, a drawing in one colour, opacity alone.
absl::StatusOr<Mask> DecodeMask(std::string_view bytes, const DecodeLimits& limits);

// "image/png", "image/jpeg", "image/webp".
std::string_view MimeType(ImageFormat format);

// Resizes by area averaging (down) or nearest neighbour (up) so that the longer side is `max_side`.
Image FitWithin(const Image& image, int max_side);

}  // namespace stepcast

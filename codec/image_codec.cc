#include "codec/image_codec.h"

#include <algorithm>
#include <new>

#include "absl/strings/str_cat.h"
#include "codec/jpeg_codec.h"
#include "codec/png_codec.h"
#include "codec/webp_codec.h"

namespace stepcast {
namespace {

absl::Status CheckEncodable(const Image& image, const EncodeOptions& options) {
  // Two sides below 2^31 and three channels stay below 2^64.
  const bool has_size = image.width > 0 && image.height > 0;
  const uint64_t expected = has_size ? static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height) * 3 : 0;
  if (!has_size || image.pixels.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat("picture of ", image.width, "x", image.height, " pixels with ",
                                                   image.pixels.size(), " bytes; expected are ", expected,
                                                   " and at least one pixel"));
  }
  if (options.format != ImageFormat::kPng && (options.quality < 1 || options.quality > 100)) {
    return absl::InvalidArgumentError(absl::StrCat("quality is ", options.quality, "; allowed are 1..100"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Encode(const Image& image, const EncodeOptions& options) {
  switch (options.format) {
    case ImageFormat::kPng:
      return EncodePng(image, options.texts);
    case ImageFormat::kJpeg:
      return EncodeJpeg(image, options.quality, options.texts.parameters);
    case ImageFormat::kWebp:
      return EncodeWebp(image, options.quality, options.texts.parameters);
  }
  return absl::InvalidArgumentError(absl::StrCat("image format ", static_cast<int>(options.format), " is unknown"));
}

absl::StatusOr<Image> Decode(std::string_view bytes, const DecodeLimits& limits) {
  if (IsPng(bytes)) {
    return DecodePng(bytes, limits);
  }
  if (IsJpeg(bytes)) {
    return DecodeJpeg(bytes, limits);
  }
  if (IsWebp(bytes)) {
    return DecodeWebp(bytes, limits);
  }
  return absl::InvalidArgumentError("file is no PNG, JPEG or WebP by its first bytes");
}

}  // namespace

absl::StatusOr<std::string> EncodeImage(const Image& image, const EncodeOptions& options) {
  if (absl::Status status = CheckEncodable(image, options); !status.ok()) {
    return status;
  }
  // The codecs allocate buffers of a picture's size: running out of memory is one picture's failure, not the server's.
  try {
    return Encode(image, options);
  } catch (const std::bad_alloc&) {
    return absl::InternalError(absl::StrCat("no memory to encode ", image.width, "x", image.height, " pixels"));
  }
}

absl::StatusOr<Image> DecodeImage(std::string_view bytes, const DecodeLimits& limits) {
  if (bytes.empty() || bytes.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("file has ", bytes.size(), " bytes; allowed are 1..", limits.max_bytes));
  }
  try {
    return Decode(bytes, limits);
  } catch (const std::bad_alloc&) {
    return absl::InternalError("no memory to decode a picture");
  }
}

std::string_view MimeType(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng:
      return "image/png";
    case ImageFormat::kJpeg:
      return "image/jpeg";
    case ImageFormat::kWebp:
      return "image/webp";
  }
  return "application/octet-stream";
}

}  // namespace stepcast

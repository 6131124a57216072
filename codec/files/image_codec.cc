#include "codec/files/image_codec.h"

#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/files/jpeg_codec.h"
#include "codec/files/picture_header.h"
#include "codec/files/pixel_limits.h"
#include "codec/files/png_codec.h"
#include "codec/files/webp_codec.h"
#include "codec/pixels/alpha.h"
#include "core/status_macros.h"

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

// 3 or 4 channels, upright.
absl::StatusOr<Pixels> DecodePixels(std::string_view bytes, const DecodeLimits& limits) {
  STEPCAST_ASSIGN_OR_RETURN(const PictureHeader header, ReadPictureHeader(bytes, limits));
  absl::StatusOr<Pixels> pixels = absl::InternalError("no such format");
  switch (header.format) {
    case ImageFormat::kPng:
      pixels = DecodePng(bytes, limits);
      break;
    case ImageFormat::kJpeg:
      pixels = DecodeJpeg(bytes, limits);
      break;
    case ImageFormat::kWebp:
      pixels = DecodeWebp(bytes, limits);
      break;
  }
  if (!pixels.ok()) return pixels.status();
  if (pixels->width != header.width || pixels->height != header.height) return DamagedError("file");
  return Upright(*std::move(pixels), header.orientation);
}

// `decode` with running out of memory as one picture's failure.
template <typename Result, typename Decode>
absl::StatusOr<Result> Guarded(Decode decode) {
  try {
    return decode();
  } catch (const std::bad_alloc&) {
    return absl::InternalError("no memory to decode a picture");
  }
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
  return Guarded<Image>([&]() -> absl::StatusOr<Image> {
    STEPCAST_ASSIGN_OR_RETURN(Pixels pixels, DecodePixels(bytes, limits));
    if (pixels.channels == 4) ComposeOverWhite(&pixels.values);
    return Image{.width = pixels.width, .height = pixels.height, .pixels = std::move(pixels.values)};
  });
}

absl::StatusOr<Mask> DecodeMask(std::string_view bytes, const DecodeLimits& limits) {
  return Guarded<Mask>([&]() -> absl::StatusOr<Mask> {
    STEPCAST_ASSIGN_OR_RETURN(Pixels pixels, DecodePixels(bytes, limits));
    ReduceToMask(&pixels);
    return Mask{.width = pixels.width, .height = pixels.height, .values = std::move(pixels.values)};
  });
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

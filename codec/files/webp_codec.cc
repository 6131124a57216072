#include "codec/files/webp_codec.h"

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "codec/files/exif.h"
#include "codec/files/pixel_limits.h"
#include "core/status_macros.h"

namespace stepcast {
namespace {

constexpr int kMethod = 2;  // 0 fast .. 6 small; measured in README.md
constexpr char kKind[] = "WebP";

// libwebp's writer and picture, freed whatever happened.
struct WebpWriting {
  WebPMemoryWriter writer;
  WebPPicture picture;

  WebpWriting() { WebPMemoryWriterInit(&writer); }
  ~WebpWriting() {
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&writer);
  }
  WebpWriting(const WebpWriting&) = delete;
  WebpWriting& operator=(const WebpWriting&) = delete;
};

const uint8_t* Data(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

bool Write(const Image& image, int quality, WebpWriting* writing) {
  WebPConfig config;
  if (!WebPPictureInit(&writing->picture) || !WebPConfigInit(&config)) {
    return false;
  }
  config.quality = static_cast<float>(quality);
  config.method = kMethod;
  writing->picture.width = image.width;
  writing->picture.height = image.height;
  writing->picture.writer = WebPMemoryWrite;
  writing->picture.custom_ptr = &writing->writer;
  return WebPPictureImportRGB(&writing->picture, image.pixels.data(), image.width * 3) != 0 &&
         WebPEncode(&config, &writing->picture) != 0;
}

struct MuxDeleter {
  void operator()(WebPMux* mux) const { WebPMuxDelete(mux); }
};

// The bare file with a chunk of EXIF.
absl::StatusOr<std::string> WithExif(const WebPMemoryWriter& bare, const std::string& exif) {
  const WebPData picture = {bare.mem, bare.size};
  const WebPData chunk = {Data(exif), exif.size()};
  const std::unique_ptr<WebPMux, MuxDeleter> mux(WebPMuxCreate(&picture, 0));
  WebPData assembled = {};
  if (mux == nullptr || WebPMuxSetChunk(mux.get(), "EXIF", &chunk, 0) != WEBP_MUX_OK ||
      WebPMuxAssemble(mux.get(), &assembled) != WEBP_MUX_OK) {
    return absl::InternalError("parameters could not be written into a WebP");
  }
  std::string file(reinterpret_cast<const char*>(assembled.bytes), assembled.size);
  WebPDataClear(&assembled);
  return file;
}

absl::StatusOr<WebPBitstreamFeatures> FeaturesOf(std::string_view bytes, const DecodeLimits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(Data(bytes), bytes.size(), &features) != VP8_STATUS_OK) {
    return DamagedError(kKind);
  }
  STEPCAST_RETURN_IF_ERROR(CheckPixelLimits(kKind, features.width, features.height, limits));
  if (features.has_animation != 0) return UndecodableError("WebP is animated; allowed are still pictures");
  return features;
}

// The data of the chunk "EXIF"; "" without one.
std::string_view ExifOf(std::string_view bytes) {
  constexpr size_t kFrame = 8;  // name and size
  std::string_view rest = bytes.substr(12);
  while (rest.size() >= kFrame) {
    const size_t size = static_cast<size_t>(Data(rest)[4]) | static_cast<size_t>(Data(rest)[5]) << 8 |
                        static_cast<size_t>(Data(rest)[6]) << 16 | static_cast<size_t>(Data(rest)[7]) << 24;
    if (size > rest.size() - kFrame) return {};
    if (rest.starts_with("EXIF")) return rest.substr(kFrame, size);
    rest.remove_prefix(std::min(kFrame + size + (size & 1), rest.size()));
  }
  return {};
}

}  // namespace

bool IsWebp(std::string_view bytes) {
  return bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP";
}

absl::StatusOr<std::string> EncodeWebp(const Image& image, int quality, std::string_view comment) {
  if (image.width > WEBP_MAX_DIMENSION || image.height > WEBP_MAX_DIMENSION) {
    return absl::InvalidArgumentError(absl::StrCat("picture of ", image.width, "x", image.height,
                                                   " pixels; allowed for WebP are sides of 1..", WEBP_MAX_DIMENSION));
  }
  WebpWriting writing;
  if (!Write(image, quality, &writing)) {
    return absl::InternalError(
        absl::StrCat("a WebP of ", image.width, "x", image.height, " pixels could not be written"));
  }
  if (comment.empty()) {
    return std::string(reinterpret_cast<const char*>(writing.writer.mem), writing.writer.size);
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::string exif, ExifWithComment(comment));
  return WithExif(writing.writer, exif);
}

absl::StatusOr<PictureHeader> ReadWebpHeader(std::string_view bytes, const DecodeLimits& limits) {
  STEPCAST_ASSIGN_OR_RETURN(const WebPBitstreamFeatures features, FeaturesOf(bytes, limits));
  return PictureHeader{.format = ImageFormat::kWebp,
                       .width = features.width,
                       .height = features.height,
                       .orientation = OrientationOf(ExifOf(bytes))};
}

absl::StatusOr<Pixels> DecodeWebp(std::string_view bytes, const DecodeLimits& limits) {
  STEPCAST_ASSIGN_OR_RETURN(const WebPBitstreamFeatures features, FeaturesOf(bytes, limits));
  Pixels pixels = MakePixels(features.width, features.height, features.has_alpha != 0 ? 4 : 3);
  const auto decode = features.has_alpha != 0 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode(Data(bytes), bytes.size(), pixels.values.data(), pixels.values.size(),
             static_cast<int>(pixels.row_bytes())) == nullptr) {
    return DamagedError(kKind);
  }
  return pixels;
}

}  // namespace stepcast

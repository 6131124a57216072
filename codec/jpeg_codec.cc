#include "codec/jpeg_codec.h"

#include <turbojpeg.h>

#include <cstdint>
#include <memory>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "codec/exif.h"
#include "codec/pixel_limits.h"
#include "core/status_macros.h"

namespace stepcast {
namespace {

constexpr int kMaxSide = 65500;         // libjpeg's own limit
constexpr int kFullChromaQuality = 90;  // from here up
constexpr int kMaxScans = 64;  // common progressive files have about 10; each one costs a pass over the picture
constexpr char kKind[] = "JPEG";

struct HandleDeleter {
  void operator()(tjhandle handle) const { tjDestroy(handle); }
};
using Handle = std::unique_ptr<std::remove_pointer_t<tjhandle>, HandleDeleter>;

struct BufferDeleter {
  void operator()(unsigned char* buffer) const { tjFree(buffer); }
};

const unsigned char* Data(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

// Start-of-scan markers. Inside entropy-coded data a byte FF is followed by 00 or a restart marker, so that every
// FF DA starts a scan; those in application segments are counted too, which errs on the safe side.
int CountScans(std::string_view bytes) {
  int scans = 0;
  for (size_t at = bytes.find("\xff\xda"); at != std::string_view::npos; at = bytes.find("\xff\xda", at + 2)) {
    ++scans;
  }
  return scans;
}

// The EXIF segment, header included; "" for an empty comment.
absl::StatusOr<std::string> ExifSegment(std::string_view comment) {
  if (comment.empty()) {
    return "";
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::string exif, ExifWithComment(comment));
  if (exif.size() > kMaxJpegExifBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("parameters need ", exif.size(), " bytes; a JPEG holds at most ", kMaxJpegExifBytes));
  }
  const size_t length = exif.size() + 8;
  std::string segment = "\xff\xe1";
  segment.push_back(static_cast<char>(length >> 8));
  segment.push_back(static_cast<char>(length & 0xFF));
  segment.append("Exif\0\0", 6);
  return segment + exif;
}

// Behind the start marker and the JFIF segment, which the library always writes first.
constexpr size_t kAfterJfif = 2 + 2 + 16;

}  // namespace

bool IsJpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

absl::StatusOr<std::string> EncodeJpeg(const Image& image, int quality, std::string_view comment) {
  if (image.width > kMaxSide || image.height > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat("picture of ", image.width, "x", image.height,
                                                   " pixels; allowed for JPEG are sides of 1..", kMaxSide));
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::string exif, ExifSegment(comment));
  const Handle handle(tjInitCompress());
  unsigned char* allocated = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): the library's type
  const int subsampling = quality >= kFullChromaQuality ? TJSAMP_444 : TJSAMP_420;
  const int result = handle == nullptr
                         ? -1
                         : tjCompress2(handle.get(), image.pixels.data(), image.width, 0, image.height, TJPF_RGB,
                                       &allocated, &size, subsampling, quality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, BufferDeleter> buffer(allocated);
  if (result != 0) {
    return absl::InternalError(
        absl::StrCat("a JPEG of ", image.width, "x", image.height, " pixels could not be written"));
  }
  std::string file(reinterpret_cast<const char*>(buffer.get()), size);
  return file.insert(kAfterJfif, exif);
}

absl::StatusOr<Image> DecodeJpeg(std::string_view bytes, const DecodeLimits& limits) {
  const Handle handle(tjInitDecompress());
  if (handle == nullptr) {
    return absl::InternalError("libjpeg could not be started");
  }
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colour_space = 0;
  if (tjDecompressHeader3(handle.get(), Data(bytes), bytes.size(), &width, &height, &subsampling, &colour_space) != 0 ||
      width < 1 || height < 1) {  // tables without a picture are no error to the library
    return DamagedError(kKind);
  }
  if (absl::Status status = CheckPixelLimits(kKind, width, height, limits); !status.ok()) {
    return status;
  }
  if (colour_space == TJCS_CMYK || colour_space == TJCS_YCCK) {
    return absl::InvalidArgumentError("JPEG is CMYK; allowed are RGB and grey");
  }
  if (const int scans = CountScans(bytes); scans > kMaxScans) {
    return absl::InvalidArgumentError(absl::StrCat("JPEG has ", scans, " scans; allowed are ", kMaxScans));
  }
  Image image = {.width = width, .height = height, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  // A warning is damage too: the library would fill what is missing with grey.
  if (tjDecompress2(handle.get(), Data(bytes), bytes.size(), image.pixels.data(), width, 0, height, TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING) != 0) {
    return DamagedError(kKind);
  }
  return image;
}

}  // namespace stepcast

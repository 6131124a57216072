#include "codec/files/jpeg_codec.h"

#include <turbojpeg.h>

#include <cstdint>
#include <memory>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "codec/files/exif.h"
#include "codec/files/pixel_limits.h"
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

constexpr uint8_t kExifMarker = 0xE1;
constexpr std::string_view kExifName("Exif\0\0", 6);
constexpr size_t kFrameBytes = 6;  // precision, height, width, number of components

int ReadU16(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]);
}

// Start of a frame: C0 .. CF but for tables (C4, CC) and the reserved C8.
bool IsFrame(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// The segments of a file up to its first scan.
class SegmentReader {
 public:
  explicit SegmentReader(std::string_view bytes) : rest_(bytes.substr(2)) {}

  // Whether there is another one.
  bool Next() {
    for (;;) {
      while (rest_.size() > 2 && rest_.starts_with("\xff\xff")) rest_.remove_prefix(1);
      if (rest_.size() < 4 || rest_[0] != '\xff') return false;
      marker_ = static_cast<uint8_t>(rest_[1]);
      if (marker_ == 0xDA || marker_ == 0xD9) return false;
      rest_.remove_prefix(2);
      if (marker_ != 0x01 && (marker_ < 0xD0 || marker_ > 0xD8)) break;  // those have no data
    }
    const auto length = static_cast<size_t>(ReadU16(rest_, 0));
    if (length < 2 || length > rest_.size()) return false;
    data_ = rest_.substr(2, length - 2);
    rest_.remove_prefix(length);
    return true;
  }

  uint8_t marker() const { return marker_; }
  std::string_view data() const { return data_; }

 private:
  std::string_view rest_;
  std::string_view data_;
  uint8_t marker_ = 0;
};

absl::Status CmykError() { return UndecodableError("JPEG is CMYK; allowed are RGB and grey"); }

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

absl::StatusOr<PictureHeader> ReadJpegHeader(std::string_view bytes, const DecodeLimits& limits) {
  PictureHeader header = {.format = ImageFormat::kJpeg};
  bool has_frame = false;
  for (SegmentReader segments(bytes); segments.Next();) {
    const std::string_view data = segments.data();
    if (segments.marker() == kExifMarker && data.starts_with(kExifName)) header.orientation = OrientationOf(data);
    if (!IsFrame(segments.marker()) || data.size() < kFrameBytes) continue;
    if (static_cast<uint8_t>(data[5]) == 4) return CmykError();
    header.height = ReadU16(data, 1);
    header.width = ReadU16(data, 3);
    has_frame = true;
  }
  if (!has_frame) return DamagedError(kKind);
  STEPCAST_RETURN_IF_ERROR(CheckPixelLimits(kKind, header.width, header.height, limits));
  return header;
}

absl::StatusOr<Pixels> DecodeJpeg(std::string_view bytes, const DecodeLimits& limits) {
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
    return CmykError();
  }
  if (const int scans = CountScans(bytes); scans > kMaxScans) {
    return UndecodableError(absl::StrCat("JPEG has ", scans, " scans; allowed are ", kMaxScans));
  }
  Pixels pixels = MakePixels(width, height, 3);
  // A warning is damage too: the library would fill what is missing with grey.
  if (tjDecompress2(handle.get(), Data(bytes), bytes.size(), pixels.values.data(), width, 0, height, TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING) != 0) {
    return DamagedError(kKind);
  }
  return pixels;
}

}  // namespace stepcast

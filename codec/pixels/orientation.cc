#include "codec/pixels/orientation.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

namespace stepcast {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kTypeShort = 3;
constexpr uint16_t kTypeLong = 4;
constexpr size_t kEntryBytes = 12;
constexpr size_t kMaxEntries = 512;  // cameras write some dozens

// Numbers of a TIFF structure, in its own byte order; 0 beyond its end.
class TiffReader {
 public:
  TiffReader(std::string_view bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  uint32_t U16(size_t at) const { return Read(at, 2); }
  uint32_t U32(size_t at) const { return Read(at, 4); }

 private:
  uint32_t Read(size_t at, size_t count) const {
    if (at > bytes_.size() || bytes_.size() - at < count) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto byte = static_cast<uint8_t>(bytes_[at + (big_endian_ ? i : count - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }

  std::string_view bytes_;
  bool big_endian_;
};

// Where the upright pixel (x, y) of a picture lies in the stored one.
struct Source {
  int x = 0;
  int y = 0;
};

Source SourceOf(Orientation orientation, const Pixels& stored, int x, int y) {
  const int right = stored.width - 1;
  const int bottom = stored.height - 1;
  switch (orientation) {
    case 2:
      return {right - x, y};
    case 3:
      return {right - x, bottom - y};
    case 4:
      return {x, bottom - y};
    case 5:
      return {y, x};
    case 6:
      return {y, bottom - x};
    case 7:
      return {right - y, bottom - x};
    case 8:
      return {right - y, x};
    default:
      return {x, y};
  }
}

}  // namespace

Orientation OrientationOf(std::string_view exif) {
  using namespace std::string_view_literals;
  if (exif.starts_with("Exif\0\0"sv)) exif.remove_prefix(6);
  const bool big_endian = exif.starts_with("MM\0*"sv);
  if (!big_endian && !exif.starts_with("II*\0"sv)) return kUpright;
  const TiffReader tiff(exif, big_endian);
  const size_t directory = tiff.U32(4);
  const size_t entries = std::min<size_t>(tiff.U16(directory), kMaxEntries);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (tiff.U16(entry) != kOrientationTag) continue;
    const uint32_t type = tiff.U16(entry + 2);
    const uint32_t value = type == kTypeShort ? tiff.U16(entry + 8) : type == kTypeLong ? tiff.U32(entry + 8) : 0;
    return value >= 1 && value <= 8 ? static_cast<Orientation>(value) : kUpright;
  }
  return kUpright;
}

Pixels Upright(Pixels pixels, Orientation orientation) {
  if (orientation == kUpright) return pixels;
  const bool exchanged = ExchangesSides(orientation);
  Pixels upright =
      MakePixels(exchanged ? pixels.height : pixels.width, exchanged ? pixels.width : pixels.height, pixels.channels);
  const auto channels = static_cast<size_t>(pixels.channels);
  uint8_t* to = upright.values.data();
  for (int y = 0; y < upright.height; ++y) {
    for (int x = 0; x < upright.width; ++x, to += channels) {
      const Source source = SourceOf(orientation, pixels, x, y);
      std::memcpy(to, pixels.row(source.y) + static_cast<size_t>(source.x) * channels, channels);
    }
  }
  return upright;
}

}  // namespace stepcast

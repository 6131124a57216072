#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codec/files/pixel_limits.h"
#include "codec/files/png_codec.h"
#include "core/status_macros.h"

namespace stepcast {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr size_t kChunkFrame = 12;               // length, type, checksum
constexpr size_t kHeaderChunk = 13;              // data of IHDR
constexpr png_alloc_size_t kMaxChunk = 1 << 20;  // bytes libpng may allocate for one chunk; a palette has 768
// Compressed bytes that may follow those of the last pixel: the end of a stream, and what encoders leave there. A
// kilobyte of nothing may inflate to a megabyte.
constexpr size_t kMostAfterPixels = 1024;
constexpr char kKind[] = "PNG";

uint32_t ReadBigEndian(std::string_view bytes, size_t position) {
  uint32_t value = 0;
  for (size_t index = 0; index < 4; ++index) {
    value = value << 8 | static_cast<uint8_t>(bytes[position + index]);
  }
  return value;
}

// Everything that lives across libpng's longjmp, so that no frame between has a destructor to skip.
struct Reading {
  std::string_view file;
  std::string_view rest;  // bytes of it that libpng has not asked for yet
  png_structp png = nullptr;
  png_infop info = nullptr;
  png_infop end_info = nullptr;
  uint32_t width = 0;
  uint32_t height = 0;
  bool has_alpha = false;
  size_t row_bytes = 0;
  size_t stored_row_bytes = 0;  // before it is made RGB
  int passes = 1;               // over the picture: seven where it is interlaced
  png_bytepp rows = nullptr;
};

[[noreturn]] void OnError(png_structp png, png_const_charp /*message*/) { png_longjmp(png, 1); }
void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}

void OnRead(png_structp png, png_bytep data, size_t size) {
  auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (size > reading->rest.size()) {
    png_error(png, "");
  }
  std::memcpy(data, reading->rest.data(), size);
  reading->rest.remove_prefix(size);
}

// Reads up to the pixels and asks for 8-bit RGB or RGBA. Returns false when libpng gave up.
bool ReadHeader(Reading* reading, uint32_t max_side) {
  if (setjmp(png_jmpbuf(reading->png)) != 0) {
    return false;
  }
  png_structp png = reading->png;
  png_set_read_fn(png, reading, OnRead);
  png_set_user_limits(png, max_side, max_side);
  png_set_chunk_cache_max(png, 16);
  png_set_chunk_malloc_max(png, kMaxChunk);
  // Drops every ancillary chunk but tRNS unread: no compressed profile or text is ever inflated.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, reading->info);
  reading->width = png_get_image_width(png, reading->info);
  reading->height = png_get_image_height(png, reading->info);
  reading->has_alpha = (png_get_color_type(png, reading->info) & PNG_COLOR_MASK_ALPHA) != 0 ||
                       png_get_valid(png, reading->info, PNG_INFO_tRNS) != 0;
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  reading->stored_row_bytes = png_get_rowbytes(png, reading->info);
  reading->passes = png_set_interlace_handling(png);
  png_read_update_info(png, reading->info);
  reading->row_bytes = png_get_rowbytes(png, reading->info);
  return true;
}

// Bytes of image data that libpng has not asked for yet.
size_t ImageBytesLeft(const Reading& reading) {
  const size_t asked = reading.file.size() - reading.rest.size();
  size_t left = 0;
  for (size_t position = kSignature.size(); reading.file.size() - position >= kChunkFrame;) {
    const size_t begin = position + 8;
    const size_t length = std::min<size_t>(ReadBigEndian(reading.file, position), reading.file.size() - begin - 4);
    const size_t end = begin + length;
    if (reading.file.substr(position + 4, 4) == "IDAT" && end > asked) left += end - std::max(begin, asked);
    position = end + 4;
  }
  return left;
}

// False also for more image data than the picture has pixels. With the last row libpng would inflate all of it for
// nothing, so it is looked at before.
bool ReadPixels(Reading* reading) {
  if (setjmp(png_jmpbuf(reading->png)) != 0) {
    return false;
  }
  for (int pass = 1; pass <= reading->passes; ++pass) {
    for (uint32_t row = 0; row < reading->height; ++row) {
      const bool last = pass == reading->passes && row + 1 == reading->height;
      // A row that cannot be compressed takes a little more than its bytes.
      if (last && ImageBytesLeft(*reading) > reading->stored_row_bytes + kMostAfterPixels) return false;
      png_read_row(reading->png, reading->rows[row], nullptr);
    }
  }
  png_read_end(reading->png, reading->end_info);
  return true;
}

// Frees libpng's structures, whatever happened.
class ReadStructs {
 public:
  explicit ReadStructs(Reading* reading) : reading_(reading) {
    reading->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, OnError, OnWarning);
    if (reading->png != nullptr) {
      reading->info = png_create_info_struct(reading->png);
      reading->end_info = png_create_info_struct(reading->png);
    }
  }
  ~ReadStructs() { png_destroy_read_struct(&reading_->png, &reading_->info, &reading_->end_info); }
  ReadStructs(const ReadStructs&) = delete;
  ReadStructs& operator=(const ReadStructs&) = delete;

  bool ok() const { return reading_->info != nullptr && reading_->end_info != nullptr; }

 private:
  Reading* reading_;
};

}  // namespace

bool IsPng(std::string_view bytes) { return bytes.starts_with(kSignature); }

absl::StatusOr<PictureHeader> ReadPngHeader(std::string_view bytes, const DecodeLimits& limits) {
  size_t position = kSignature.size();
  if (bytes.size() < position + kChunkFrame + kHeaderChunk || ReadBigEndian(bytes, position) != kHeaderChunk ||
      bytes.substr(position + 4, 4) != "IHDR") {
    return DamagedError(kKind);
  }
  const uint32_t width = ReadBigEndian(bytes, position + 8);
  const uint32_t height = ReadBigEndian(bytes, position + 12);
  STEPCAST_RETURN_IF_ERROR(CheckPixelLimits(kKind, width, height, limits));
  PictureHeader header = {
      .format = ImageFormat::kPng, .width = static_cast<int>(width), .height = static_cast<int>(height)};
  while (bytes.size() - position >= kChunkFrame) {
    const std::string_view type = bytes.substr(position + 4, 4);
    if (type == "acTL") return UndecodableError("PNG is animated; allowed are still pictures");
    const size_t length = ReadBigEndian(bytes, position);
    if (type == "IEND" || length > bytes.size() - position - kChunkFrame) break;  // libpng judges what is cut short
    if (type == "eXIf") header.orientation = OrientationOf(bytes.substr(position + 8, length));
    position += kChunkFrame + length;
  }
  return header;
}

absl::StatusOr<Pixels> DecodePng(std::string_view bytes, const DecodeLimits& limits) {
  STEPCAST_RETURN_IF_ERROR(ReadPngHeader(bytes, limits).status());
  Reading reading = {.file = bytes, .rest = bytes};
  const ReadStructs structs(&reading);
  if (!structs.ok()) {
    return absl::InternalError("libpng could not be started");
  }
  if (!ReadHeader(&reading, static_cast<uint32_t>(limits.max_side))) {
    return DamagedError(kKind);
  }
  Pixels pixels =
      MakePixels(static_cast<int>(reading.width), static_cast<int>(reading.height), reading.has_alpha ? 4 : 3);
  if (reading.row_bytes != pixels.row_bytes()) {
    return absl::InternalError("libpng gave rows of an unexpected size");
  }
  std::vector<png_bytep> rows(reading.height);
  for (size_t row = 0; row < rows.size(); ++row) rows[row] = pixels.row(static_cast<int>(row));
  reading.rows = rows.data();
  if (!ReadPixels(&reading)) {
    return DamagedError(kKind);
  }
  return pixels;
}

}  // namespace stepcast

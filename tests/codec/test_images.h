#pragma once
// Pictures and files for the codec's tests, made in code.

#include <png.h>
#include <zlib.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/image.h"

namespace stepcast {

// A smooth picture with some noise, as a sampler paints them.
inline Image PaintedImage(int width, int height, uint32_t seed = 1) {
  Image image = {.width = width, .height = height, .pixels = {}};
  std::mt19937 random(seed);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        const double wave = std::sin(x * 0.11 + channel) * 60 + std::cos(y * 0.07 * (channel + 1)) * 60;
        image.pixels.push_back(static_cast<uint8_t>(128 + wave + static_cast<double>(random() % 5) - 2));
      }
    }
  }
  return image;
}

inline Image FlatImage(int width, int height, uint8_t red, uint8_t green, uint8_t blue) {
  Image image = {.width = width, .height = height, .pixels = {}};
  for (int pixel = 0; pixel < width * height; ++pixel) {
    image.pixels.insert(image.pixels.end(), {red, green, blue});
  }
  return image;
}

// The largest difference of two equally sized pictures, 256 when their sizes differ.
inline int MaxDifference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.pixels.size() != b.pixels.size()) {
    return 256;
  }
  int largest = 0;
  for (size_t index = 0; index < a.pixels.size(); ++index) {
    largest = std::max(largest, std::abs(int{a.pixels[index]} - int{b.pixels[index]}));
  }
  return largest;
}

// A PNG of any kind, straight from libpng.
struct PngKind {
  int width = 0;
  int height = 0;
  int bit_depth = 8;
  int colour_type = PNG_COLOR_TYPE_RGB;
  bool interlaced = false;
  std::vector<uint8_t> rows = {};  // as the colour type packs them
  std::vector<png_color> palette = {};
  std::vector<uint8_t> palette_alpha = {};
  bool grey_key = false;  // tRNS: the grey value 0 is transparent
};

inline std::string WritePng(const PngKind& kind) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp p, png_bytep data, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(data), size);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(kind.width), static_cast<png_uint_32>(kind.height), kind.bit_depth,
               kind.colour_type, kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
  if (!kind.palette.empty()) {
    png_set_PLTE(png, info, kind.palette.data(), static_cast<int>(kind.palette.size()));
  }
  png_color_16 key = {};
  if (kind.grey_key) {
    png_set_tRNS(png, info, nullptr, 0, &key);
  } else if (!kind.palette_alpha.empty()) {
    png_set_tRNS(png, info, kind.palette_alpha.data(), static_cast<int>(kind.palette_alpha.size()), nullptr);
  }
  png_write_info(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  std::vector<png_bytep> rows;
  for (int y = 0; y < kind.height; ++y) {
    rows.push_back(const_cast<png_bytep>(kind.rows.data()) + static_cast<size_t>(y) * row_bytes);
  }
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

inline std::string BigEndian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

// A TIFF structure whose only entry is the orientation.
inline std::string ExifWithOrientation(int orientation, bool big_endian) {
  const std::string value(1, static_cast<char>(orientation));
  using namespace std::string_literals;
  if (big_endian) return "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + value + "\0\0\0\0\0\0"s;
  return "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + value + "\0\0\0\0\0\0\0"s;
}

// A PNG chunk with its checksum.
inline std::string PngChunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return BigEndian(static_cast<uint32_t>(data.size())) + body + BigEndian(static_cast<uint32_t>(sum));
}

// Signature and IHDR of an 8-bit RGB picture.
inline std::string PngStart(uint32_t width, uint32_t height) {
  return "\x89PNG\r\n\x1a\n" +
         PngChunk("IHDR", BigEndian(width) + BigEndian(height) + std::string("\x08\x02\0\0\0", 5));
}

// `file` with `chunk` behind IHDR.
inline std::string WithChunk(const std::string& file, const std::string& chunk) {
  constexpr size_t kStart = 8 + 25;
  return file.substr(0, kStart) + chunk + file.substr(kStart);
}

}  // namespace stepcast

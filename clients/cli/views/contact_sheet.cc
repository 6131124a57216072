#include "clients/cli/views/contact_sheet.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <png.h>

namespace stepcast::cli {

std::optional<Pixels> ReadPng(const std::string& png) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, png.data(), png.size()) == 0) return std::nullopt;
  image.format = PNG_FORMAT_RGB;
  Pixels pixels{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  pixels.rgb.resize(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr) == 0) return std::nullopt;
  return pixels;
}

std::string WritePng(const Pixels& pixels) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(pixels.width);
  image.height = static_cast<png_uint_32>(pixels.height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (png_image_write_to_memory(&image, nullptr, &size, 0, pixels.rgb.data(), 0, nullptr) == 0) return "";
  std::string png(size, '\0');
  if (png_image_write_to_memory(&image, png.data(), &size, 0, pixels.rgb.data(), 0, nullptr) == 0) return "";
  png.resize(size);
  return png;
}

int SheetColumns(int count) { return static_cast<int>(std::ceil(std::sqrt(static_cast<double>(count)))); }

Pixels ContactSheet(const std::vector<Pixels>& pictures, int columns, int gap) {
  const int count = static_cast<int>(pictures.size());
  const int across = std::min(columns, count);
  const int down = (count + across - 1) / across;
  const int width = pictures.front().width;
  const int height = pictures.front().height;
  Pixels sheet{across * width + (across - 1) * gap, down * height + (down - 1) * gap, {}};
  sheet.rgb.assign(static_cast<size_t>(sheet.width) * static_cast<size_t>(sheet.height) * 3, 0);
  for (int i = 0; i < count; ++i) {
    const int left = i % across * (width + gap);
    const int top = i / across * (height + gap);
    for (int y = 0; y < height; ++y) {
      const auto from = pictures[static_cast<size_t>(i)].rgb.begin() + static_cast<std::ptrdiff_t>(y) * width * 3;
      const auto to = sheet.rgb.begin() + (static_cast<std::ptrdiff_t>(top + y) * sheet.width + left) * 3;
      std::copy(from, from + static_cast<std::ptrdiff_t>(width) * 3, to);
    }
  }
  return sheet;
}

}  // namespace stepcast::cli

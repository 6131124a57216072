#pragma once
// LoRAs for tests, made of others.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace stepcast {

// Writes to `to` a LoRA of the layers of that at `from`, whose numbers are half precision: each lies `shift` places
// further on. Returns `to`.
inline std::string ShiftLora(const std::string& from, size_t shift, const std::string& to) {
  std::ifstream in(from, std::ios::binary);
  std::string file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof(header));
  const auto data = file.begin() + static_cast<std::ptrdiff_t>(sizeof(header) + header);
  std::rotate(data, file.end() - static_cast<std::ptrdiff_t>(shift * sizeof(uint16_t)), file.end());
  std::ofstream(to, std::ios::binary) << file;
  return to;
}

}  // namespace stepcast

#include "codec/latin1.h"

#include <cstddef>
#include <cstdint>

namespace stepcast {
namespace {

constexpr uint32_t kIllFormed = 0xFFFFFFFF;

// Reads the character at `text[*position]` and moves behind it; kIllFormed for anything but well-formed UTF-8.
uint32_t ReadUtf8(std::string_view text, size_t* position) {
  const auto lead = static_cast<uint8_t>(text[(*position)++]);
  if (lead < 0x80) {
    return lead;
  }
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - *position < static_cast<size_t>(more)) {
    return kIllFormed;
  }
  uint32_t character = lead & (0x3Fu >> more);
  for (int index = 0; index < more; ++index) {
    const auto byte = static_cast<uint8_t>(text[(*position)++]);
    if ((byte & 0xC0) != 0x80) {
      return kIllFormed;
    }
    character = character << 6 | (byte & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = character >= 0xD800 && character < 0xE000;
  return character < kSmallest[more] || is_surrogate || character > 0x10FFFF ? kIllFormed : character;
}

}  // namespace

Latin1Result ToLatin1(std::string_view utf8, std::string* latin1) {
  latin1->clear();
  Latin1Result result = Latin1Result::kLatin1;
  for (size_t position = 0; position < utf8.size();) {
    const uint32_t character = ReadUtf8(utf8, &position);
    if (character == kIllFormed || character == 0) {
      return Latin1Result::kNotText;
    }
    if (character > 0xFF) {
      result = Latin1Result::kUnicode;
    }
    latin1->push_back(static_cast<char>(character & 0xFF));
  }
  return result;
}

}  // namespace stepcast

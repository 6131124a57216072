#include "codec/files/utf8.h"

namespace stepcast {

uint32_t ReadUtf8(std::string_view text, size_t* position) {
  const auto lead = static_cast<uint8_t>(text[(*position)++]);
  if (lead < 0x80) {
    return lead;
  }
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - *position < static_cast<size_t>(more)) {
    return kIllFormedUtf8;
  }
  uint32_t character = lead & (0x3Fu >> more);
  for (int index = 0; index < more; ++index) {
    const auto byte = static_cast<uint8_t>(text[(*position)++]);
    if ((byte & 0xC0) != 0x80) {
      return kIllFormedUtf8;
    }
    character = character << 6 | (byte & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = character >= 0xD800 && character < 0xE000;
  return character < kSmallest[more] || is_surrogate || character > 0x10FFFF ? kIllFormedUtf8 : character;
}

}  // namespace stepcast

#pragma once
// The 256 printable characters that stand for bytes in CLIP's vocabulary files.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stepcast {

// The UTF-8 character for a byte: itself for 33..126, 161..172 and 174..255; the other 68 bytes, in order, are
// U+0100 and following.
const std::string& CharacterOfByte(uint8_t byte);

// The bytes that `token` spells, or nullopt when a character of it stands for no byte.
std::optional<std::string> BytesOfToken(std::string_view token);

}  // namespace stepcast

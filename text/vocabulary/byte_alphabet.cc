#include "text/vocabulary/byte_alphabet.h"

#include <array>

#include "text/unicode/unicode.h"

namespace stepcast {
namespace {

constexpr int kBytes = 256;
constexpr char32_t kFirstSubstitute = 0x100;
constexpr int kSubstitutes = 68;

constexpr bool StandsForItself(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Alphabet {
  std::array<std::string, kBytes> characters;
  std::array<int, kFirstSubstitute + kSubstitutes> bytes;  // by code point; -1: stands for no byte
};

const Alphabet& GetAlphabet() {
  static const Alphabet alphabet = [] {
    Alphabet made;
    made.bytes.fill(-1);
    char32_t substitute = kFirstSubstitute;
    for (int byte = 0; byte < kBytes; ++byte) {
      const char32_t character = StandsForItself(byte) ? static_cast<char32_t>(byte) : substitute++;
      AppendCharacter(character, &made.characters[static_cast<size_t>(byte)]);
      made.bytes[character] = byte;
    }
    return made;
  }();
  return alphabet;
}

}  // namespace

const std::string& CharacterOfByte(uint8_t byte) { return GetAlphabet().characters[byte]; }

std::optional<std::string> BytesOfToken(std::string_view token) {
  const Alphabet& alphabet = GetAlphabet();
  std::string bytes;
  for (size_t position = 0; position < token.size();) {
    const char32_t character = ReadCharacter(token, &position);
    if (character >= alphabet.bytes.size() || alphabet.bytes[character] < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(alphabet.bytes[character]));
  }
  return bytes;
}

}  // namespace stepcast

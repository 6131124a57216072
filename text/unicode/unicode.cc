#include "text/unicode/unicode.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdint>

#include "text/unicode/unicode_supplement.h"

namespace stepcast {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kCombiningDotAbove = 0x307;

CharacterClass ClassifyAscii(char32_t character) {
  if (character == ' ' || (character >= 0x09 && character <= 0x0D)) {
    return CharacterClass::kSpace;
  }
  if ((character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z')) {
    return CharacterClass::kLetter;
  }
  return character >= '0' && character <= '9' ? CharacterClass::kNumber : CharacterClass::kOther;
}

// ICU is asked only about what Unicode 15.0 knows, the version of the oldest ICU we build with.
bool IsNewerThanUnicode15(char32_t character) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(character), age);
  return age[0] == 0 || age[0] > 15 || (age[0] == 15 && age[1] > 0);
}

}  // namespace

CharacterClass Classify(char32_t character) {
  if (character < 0x80) {
    return ClassifyAscii(character);
  }
  const auto code_point = static_cast<UChar32>(character);
  if (u_hasBinaryProperty(code_point, UCHAR_WHITE_SPACE)) {
    return CharacterClass::kSpace;
  }
  if (IsNewerThanUnicode15(character)) {
    return ClassifyNewer(character);
  }
  const uint32_t category = U_GET_GC_MASK(code_point);
  if ((category & U_GC_L_MASK) != 0) {
    return CharacterClass::kLetter;
  }
  return (category & U_GC_N_MASK) != 0 ? CharacterClass::kNumber : CharacterClass::kOther;
}

std::optional<int> DecimalDigit(char32_t character) {
  if (character < 0x80) {
    return character >= '0' && character <= '9' ? std::optional<int>(static_cast<int>(character - '0')) : std::nullopt;
  }
  const auto code_point = static_cast<UChar32>(character);
  if (u_charType(code_point) != U_DECIMAL_DIGIT_NUMBER || IsNewerThanUnicode15(character)) {
    return std::nullopt;
  }
  return u_charDigitValue(code_point);
}

bool IsWordCharacter(char32_t character) {
  const auto code_point = static_cast<UChar32>(character);
  constexpr uint32_t kCategories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (U_GET_GC_MASK(code_point) & kCategories) != 0 || u_hasBinaryProperty(code_point, UCHAR_ALPHABETIC) ||
         u_hasBinaryProperty(code_point, UCHAR_JOIN_CONTROL);
}

char32_t ReadCharacter(std::string_view text, size_t* position) {
  UChar32 character;
  U8_NEXT(text.data(), *position, text.size(), character);
  return character < 0 ? kReplacementCharacter : static_cast<char32_t>(character);
}

char32_t CharacterBefore(std::string_view text, size_t end) {
  UChar32 character;
  auto position = static_cast<int32_t>(end);
  U8_PREV(text.data(), 0, position, character);
  return character < 0 ? kReplacementCharacter : static_cast<char32_t>(character);
}

void AppendCharacter(char32_t character, std::string* text) {
  char bytes[U8_MAX_LENGTH];
  size_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, static_cast<UChar32>(character));
  text->append(bytes, length);
}

bool IsValidUtf8(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    UChar32 character;
    U8_NEXT(text.data(), position, text.size(), character);
    if (character < 0) {
      return false;
    }
  }
  return true;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    AppendCharacter(ReadCharacter(text, &position), &valid);
  }
  return valid;
}

void AppendLowercase(char32_t character, std::string* text) {
  if (character < 0x80) {
    text->push_back(static_cast<char>(character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character));
    return;
  }
  if (character == kCapitalIWithDot) {  // the only character whose lower case is longer than one
    AppendCharacter('i', text);
    AppendCharacter(kCombiningDotAbove, text);
    return;
  }
  AppendCharacter(IsNewerThanUnicode15(character) ? LowercaseNewer(character)
                                                  : static_cast<char32_t>(u_tolower(static_cast<UChar32>(character))),
                  text);
}

}  // namespace stepcast

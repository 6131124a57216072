#include "text/unicode/canonical_composition.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "text/unicode/unicode.h"

namespace stepcast {
namespace {

// A character with its canonical combining class; class 0 is a starter.
struct ClassedCharacter {
  char32_t character;
  uint8_t combining_class;
  uint32_t order;  // before reordering
};

// Single-character facts of form C. ICU's data is part of its library, so that the instance always exists.
const icu::Normalizer2& Facts() {
  static const icu::Normalizer2* const facts = [] {
    UErrorCode error = U_ZERO_ERROR;
    return icu::Normalizer2::getNFCInstance(error);
  }();
  return *facts;
}

// U+0EBA is old, but was a starter until Unicode 12.
bool IsKnownToReference(char32_t character) {
  constexpr uint8_t kNewestVersion = 9;
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(character), age);
  return age[0] > 0 && (age[0] < kNewestVersion || (age[0] == kNewestVersion && age[1] == 0)) && character != 0xEBA;
}

void AppendDecomposed(char32_t character, std::vector<ClassedCharacter>* decomposed) {
  if (character < 0xC0 || !IsKnownToReference(character)) {  // nothing below U+00C0 decomposes
    decomposed->push_back({character, 0, 0});                // a starter is never reordered
    return;
  }
  const auto append = [decomposed](UChar32 code_point) {
    decomposed->push_back({static_cast<char32_t>(code_point), Facts().getCombiningClass(code_point),
                           static_cast<uint32_t>(decomposed->size())});
  };
  icu::UnicodeString parts;
  if (!Facts().getDecomposition(static_cast<UChar32>(character), parts)) {
    append(static_cast<UChar32>(character));
    return;
  }
  for (int32_t index = 0; index < parts.length(); index = parts.moveIndex32(index, 1)) {
    append(parts.char32At(index));
  }
}

// Puts each run of marks in the order of their classes.
void Reorder(std::vector<ClassedCharacter>* decomposed) {
  const auto is_starter = [](const ClassedCharacter& entry) { return entry.combining_class == 0; };
  for (auto run = decomposed->begin(); run != decomposed->end();) {
    run = std::find_if_not(run, decomposed->end(), is_starter);
    const auto end = std::find_if(run, decomposed->end(), is_starter);
    // Not std::stable_sort: the standard library's uses functions that C++20 deprecates, of which clang warns.
    std::sort(run, end, [](const ClassedCharacter& a, const ClassedCharacter& b) {
      return a.combining_class != b.combining_class ? a.combining_class < b.combining_class : a.order < b.order;
    });
    run = end;
  }
}

// Joins each character with the last starter before it, where that makes one character and no other is in the way.
void Recompose(std::vector<ClassedCharacter>* characters) {
  size_t count = 0;  // characters that are kept so far
  ptrdiff_t starter = -1;
  for (const ClassedCharacter entry : *characters) {
    const bool is_next = starter >= 0 && static_cast<size_t>(starter) + 1 == count;
    if (starter >= 0 && (is_next || (*characters)[count - 1].combining_class < entry.combining_class)) {
      char32_t& base = (*characters)[static_cast<size_t>(starter)].character;
      if (base >= 0x3C && entry.character >= 0x300 && IsKnownToReference(base) &&
          IsKnownToReference(entry.character)) {  // "<" is the first character that composes, U+0300 the first mark
        const UChar32 joined = Facts().composePair(static_cast<UChar32>(base), static_cast<UChar32>(entry.character));
        if (joined >= 0) {
          base = static_cast<char32_t>(joined);
          continue;
        }
      }
    }
    if (entry.combining_class == 0) {
      starter = static_cast<ptrdiff_t>(count);
    }
    (*characters)[count++] = entry;
  }
  characters->resize(count);
}

}  // namespace

std::string ComposeCanonically(std::string_view text) {
  // Nothing below U+0300 (lead byte 0xCC) is changed by composition.
  if (std::all_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; })) {
    return std::string(text);
  }
  std::vector<ClassedCharacter> characters;
  characters.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    AppendDecomposed(ReadCharacter(text, &position), &characters);
  }
  Reorder(&characters);
  Recompose(&characters);
  std::string composed;
  composed.reserve(text.size());
  for (const ClassedCharacter& entry : characters) {
    AppendCharacter(entry.character, &composed);
  }
  return composed;
}

}  // namespace stepcast

#pragma once
// The character set of PNG's plain texts.

#include <string>
#include <string_view>

namespace stepcast {

enum class Latin1Result {
  kLatin1,   // every character fits
  kUnicode,  // valid UTF-8, but some character is beyond U+00FF
  kNotText,  // ill-formed UTF-8, or a NUL
};

// Converts UTF-8 to ISO 8859-1; `latin1` holds the conversion only for kLatin1.
Latin1Result ToLatin1(std::string_view utf8, std::string* latin1);

}  // namespace stepcast

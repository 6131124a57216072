#pragma once
// Numbers in messages: what is just beyond a bound must not read as the bound.

#include <charconv>
#include <string>

namespace stepcast {

// The shortest digits that read back as the same number; "inf", "nan".
inline std::string ShortestNumber(double value) {
  char digits[32];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), value);
  return {digits, end.ptr};
}

}  // namespace stepcast

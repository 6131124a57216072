#pragma once
// Characters of UTF-8, one by one.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stepcast {

constexpr uint32_t kIllFormedUtf8 = 0xFFFFFFFF;

// Reads the character at `text[*position]` and moves behind it; kIllFormedUtf8 for anything but well-formed UTF-8.
// REQUIRES: *position < text.size().
uint32_t ReadUtf8(std::string_view text, size_t* position);

}  // namespace stepcast

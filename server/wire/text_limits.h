#pragma once
// Text that came from outside, made fit for messages.

#include <cstddef>
#include <string>
#include "absl/strings/string_view.h"

namespace stepcast {

// Byte offset of the first byte that is no part of valid UTF-8; npos when all of it is valid.
size_t FindInvalidUtf8(absl::string_view text);

// `text` cut to at most `max_bytes` at a character boundary, with "..." for what is missing (included in the bound).
// REQUIRES: max_bytes >= 3.
std::string Shortened(absl::string_view text, size_t max_bytes);

// `text` shortened and in double quotes; quotes, backslashes, control characters and invalid bytes escaped.
std::string Quoted(absl::string_view text, size_t max_bytes = 64);

}  // namespace stepcast

#pragma once
// Unicode normalisation form C.

#include <string>
#include <string_view>

namespace stepcast {

// Canonical composition (UAX 15) by Unicode 9, the version of the reference's tables: characters that are newer neither
// reorder nor compose. n bytes cost O(n log n), also when they are all combining marks, where ICU's own composer is
// quadratic. REQUIRES: valid UTF-8.
std::string ComposeCanonically(std::string_view text);

}  // namespace stepcast

#pragma once
// Between the two string views: abseil as Debian 12 packages it was built before it took the standard's.

#include <string_view>

#include "absl/strings/string_view.h"

namespace stepcast {

// The same characters, for abseil's functions (StrCat, SimpleAtoi, ...). With a newer abseil this does nothing.
inline absl::string_view ToAbsl(std::string_view text) { return absl::string_view(text.data(), text.size()); }

// The same characters, from abseil's functions.
inline std::string_view ToStd(absl::string_view text) { return std::string_view(text.data(), text.size()); }

}  // namespace stepcast

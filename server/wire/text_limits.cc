#include "server/wire/text_limits.h"

#include <unicode/utf8.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace stepcast {
namespace {

constexpr absl::string_view kEllipsis = "...";

// Whether a character may begin at `text[i]`.
bool IsBoundary(absl::string_view text, size_t i) {
  return i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
}

}  // namespace

size_t FindInvalidUtf8(absl::string_view text) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t i = 0; i < size;) {
    const int64_t start = i;
    UChar32 character;
    U8_NEXT(bytes, i, size, character);
    if (character < 0) return static_cast<size_t>(start);
  }
  return absl::string_view::npos;
}

std::string Shortened(absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t cut = max_bytes - kEllipsis.size();
  while (cut > 0 && !IsBoundary(text, cut)) --cut;
  return absl::StrCat(text.substr(0, cut), kEllipsis);
}

std::string Quoted(absl::string_view text, size_t max_bytes) {
  const std::string shortened = Shortened(text, max_bytes);
  std::string quoted = "\"";
  absl::string_view rest = shortened;
  while (!rest.empty()) {
    const size_t invalid = FindInvalidUtf8(rest);
    for (const char c : rest.substr(0, invalid)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7F) {
        absl::StrAppendFormat(&quoted, "\\x%02x", byte);
        continue;
      }
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    if (invalid == absl::string_view::npos) break;
    absl::StrAppendFormat(&quoted, "\\x%02x", static_cast<unsigned char>(rest[invalid]));
    rest.remove_prefix(invalid + 1);
  }
  return quoted + "\"";
}

}  // namespace stepcast

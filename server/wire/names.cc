#include "server/wire/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace stepcast {

bool IsModelId(std::string_view id) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto is_allowed = [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; };
  return !id.empty() && id.size() <= 63 && is_plain(id.front()) && std::all_of(id.begin(), id.end(), is_allowed);
}

bool IsAdapterName(std::string_view name) {
  constexpr size_t kMaxNameBytes = 128;
  const auto is_plain = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); };
  return !name.empty() && name.size() <= kMaxNameBytes && is_plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
}

bool IsTenantName(std::string_view name) {
  constexpr size_t kMaxNameBytes = 64;
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '@' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && absl::ascii_isalnum(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace stepcast

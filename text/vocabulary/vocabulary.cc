#include "text/vocabulary/vocabulary.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace stepcast {

absl::Status Vocabulary::Add(std::string token, int64_t id) {
  if (token.empty() || token.size() > kMaxTokenBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("token ", QuoteToken(token), " has ", token.size(), " bytes; allowed are 1..", kMaxTokenBytes));
  }
  if (id < 0 || id > kMaxId) {
    return absl::InvalidArgumentError(
        absl::StrCat("token ", QuoteToken(token), " has id ", id, "; allowed are 0..", kMaxId));
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens_.size()) {
    tokens_.resize(index + 1);
  }
  if (!tokens_[index].empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokens ", QuoteToken(tokens_[index]), " and ", QuoteToken(token), " have the same id ", id));
  }
  if (!ids_.try_emplace(token, static_cast<int32_t>(id)).second) {
    return absl::InvalidArgumentError(absl::StrCat("token ", QuoteToken(token), " appears twice"));
  }
  tokens_[index] = std::move(token);
  return absl::OkStatus();
}

std::optional<int32_t> Vocabulary::Find(std::string_view token) const {
  const auto found = ids_.find(absl::string_view(token.data(), token.size()));
  return found == ids_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

std::string_view Vocabulary::TokenOf(int32_t id) const {
  return id < 0 || id > max_id() ? std::string_view() : tokens_[static_cast<size_t>(id)];
}

std::string QuoteToken(std::string_view token) {
  constexpr size_t kShown = 48;
  const bool is_long = token.size() > kShown;
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(std::string(token.substr(0, kShown))), is_long ? "..." : "", "\"");
}

}  // namespace stepcast

#include "text/vocabulary/token_declaration.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {

using nlohmann::json;

absl::Status ReadFlag(const json& object, const char* key, const std::string& place, std::optional<bool>* flag) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) {
    return absl::OkStatus();
  }
  if (!found->is_boolean()) {
    return absl::InvalidArgumentError(absl::StrCat(place, ".", key, ": is neither true nor false"));
  }
  *flag = found->get<bool>();
  return absl::OkStatus();
}

absl::StatusOr<TokenDeclaration> ParseTokenDeclaration(const json& value, const std::string& place) {
  TokenDeclaration token;
  token.is_string = value.is_string();
  if (!token.is_string && !(value.is_object() && value.contains("content") && value["content"].is_string())) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": is neither a string nor an object with a string \"content\""));
  }
  token.content = token.is_string ? value.get<std::string>() : value["content"].get<std::string>();
  if (token.content.empty() || token.content.size() > Vocabulary::kMaxTokenBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": has ", token.content.size(), " bytes; allowed are 1..", Vocabulary::kMaxTokenBytes));
  }
  if (token.is_string) {
    return token;
  }
  std::optional<bool> special;
  STEPCAST_RETURN_IF_ERROR(ReadFlag(value, "single_word", place, &token.single_word));
  STEPCAST_RETURN_IF_ERROR(ReadFlag(value, "lstrip", place, &token.lstrip));
  STEPCAST_RETURN_IF_ERROR(ReadFlag(value, "rstrip", place, &token.rstrip));
  STEPCAST_RETURN_IF_ERROR(ReadFlag(value, "normalized", place, &token.normalized));
  STEPCAST_RETURN_IF_ERROR(ReadFlag(value, "special", place, &special));
  token.special = special.value_or(false);
  return token;
}

}  // namespace stepcast

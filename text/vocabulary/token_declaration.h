#pragma once
// A token as a tokenizer's JSON files declare it.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace stepcast {

// Flags that a file leaves out get their defaults when the token is registered (token_registry.h).
struct TokenDeclaration {
  std::string content;
  bool is_string = false;  // declared by its text alone: special, all flags default
  std::optional<bool> single_word = std::nullopt;
  std::optional<bool> lstrip = std::nullopt;
  std::optional<bool> rstrip = std::nullopt;
  std::optional<bool> normalized = std::nullopt;
  bool special = false;
};

// Reads a token: its text, or an object with "content" and flags. `place` begins every message.
// Errors: INVALID_ARGUMENT for another type, an empty or oversize text, or a flag that is no boolean.
absl::StatusOr<TokenDeclaration> ParseTokenDeclaration(const nlohmann::json& value, const std::string& place);

// Sets `flag` to the boolean `object[key]`; leaves it alone when that is missing or null.
// Errors: INVALID_ARGUMENT for another type.
absl::Status ReadFlag(const nlohmann::json& object, const char* key, const std::string& place,
                      std::optional<bool>* flag);

}  // namespace stepcast

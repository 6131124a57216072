#pragma once
// The tokens that have a role: start, end, unknown, padding and whatever else a model names.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "text/vocabulary/token_declaration.h"

namespace stepcast {

struct NamedTokens {
  // bos, eos, unk, sep, pad, cls, mask (those that are set), then the model's own "..._token" fields by name.
  std::vector<std::pair<std::string, TokenDeclaration>> named;
  std::vector<TokenDeclaration> extra;  // special, without a role

  // The token called `name`, or nullptr.
  const TokenDeclaration* Find(std::string_view name) const;
};

// Collects the token fields of tokenizer_config.json and special_tokens_map.json.
class NamedTokenReader {
 public:
  // `dir` begins every message.
  explicit NamedTokenReader(std::string dir) : dir_(std::move(dir)) {}

  // Reads the "..._token" fields of `object`, the content of `file`, over what was read before, and its lists of extra
  // tokens. `is_map`: the file is special_tokens_map.json, whose tokens are all special.
  // Errors: INVALID_ARGUMENT naming file and field.
  absl::Status Read(const nlohmann::json& object, const std::string& file, bool is_map);

  // What was read; bos, eos, unk and pad tokens that no file has are CLIP's.
  // Errors: INVALID_ARGUMENT when one of these four is null.
  absl::StatusOr<NamedTokens> Finish();

 private:
  absl::Status ReadExtra(const nlohmann::json& object, const std::string& file, bool is_map);
  std::string Place(const std::string& file, const std::string& key) const;

  std::string dir_;
  std::map<std::string, TokenDeclaration> tokens_;
  std::map<std::string, std::string> nulls_;  // field to place
  std::vector<TokenDeclaration> extra_;
};

}  // namespace stepcast

#pragma once
// What a tokenizer folder says about special tokens, added tokens and lengths, its files merged by the reference's
// rules.

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "text/vocabulary/named_tokens.h"
#include "text/vocabulary/token_declaration.h"

namespace stepcast {

struct TokenizerConfig {
  NamedTokens tokens;
  std::map<int64_t, TokenDeclaration> added = {};  // by declared id
  int max_length = 77;                             // tokens per prompt, 2..2048
  bool split_special_tokens = false;               // special tokens in a text are spelled out
};

// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json (each optional); `tokenizer_json` is the
// parsed tokenizer.json or nullptr. When tokenizer_config.json has added_tokens_decoder it alone counts; otherwise
// special_tokens_map.json overrides its fields, and added_tokens.json and tokenizer.json add tokens.
// Errors: INVALID_ARGUMENT naming file and field; UNIMPLEMENTED for another tokenizer class, or padding or truncation
// on the left.
absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const std::string& dir, const nlohmann::json* tokenizer_json);

}  // namespace stepcast

#include "text/tokenizer/token_registry.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast {
namespace {

class TokenRegistry {
 public:
  TokenRegistry(const TokenizerConfig& config, const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), next_id_(static_cast<int32_t>(vocabulary.size())) {
    for (const auto& [name, token] : config.tokens.named) {
      named_.insert(token.content);
    }
  }

  absl::Status Register(const TokenDeclaration& declaration, std::optional<int64_t> declared_id) {
    STEPCAST_ASSIGN_OR_RETURN(AddedToken * token, FindOrAdd(declaration.content));
    if (declared_id.has_value() && *declared_id != token->id) {
      return absl::InvalidArgumentError(absl::StrCat("added token ", QuoteToken(token->content), " has the id ",
                                                     *declared_id, ", but the one it must have is ", token->id));
    }
    const bool special = declaration.is_string || declaration.special || named_.contains(declaration.content);
    token->special = token->special || special;
    token->single_word = declaration.single_word.value_or(false);
    token->lstrip = declaration.lstrip.value_or(false);
    token->rstrip = declaration.rstrip.value_or(false);
    token->normalized = declaration.normalized.value_or(!special);
    return absl::OkStatus();
  }

  std::vector<AddedToken> TakeTokens() { return std::move(tokens_); }

 private:
  absl::StatusOr<AddedToken*> FindOrAdd(const std::string& content) {
    if (const auto found = index_.find(content); found != index_.end()) {
      return &tokens_[found->second];
    }
    std::optional<int32_t> id = vocabulary_.Find(content);
    if (!id.has_value()) {
      id = next_id_++;
      if (*id > Vocabulary::kMaxId || !vocabulary_.TokenOf(*id).empty()) {
        return absl::InvalidArgumentError(absl::StrCat("added token ", QuoteToken(content), " would get the id ", *id,
                                                       ", which is taken or too large: the vocabulary has gaps"));
      }
    }
    index_[content] = tokens_.size();
    tokens_.push_back({.content = content, .id = *id});
    return &tokens_.back();
  }

  const Vocabulary& vocabulary_;
  int32_t next_id_;
  absl::flat_hash_set<absl::string_view> named_;
  absl::flat_hash_map<std::string, size_t> index_;  // by content
  std::vector<AddedToken> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<AddedToken>> RegisterTokens(const TokenizerConfig& config, const Vocabulary& vocabulary) {
  TokenRegistry registry(config, vocabulary);
  absl::flat_hash_set<absl::string_view> added;
  for (const auto& [id, token] : config.added) {
    added.insert(token.content);
    STEPCAST_RETURN_IF_ERROR(registry.Register(token, id));
  }
  for (const auto& [name, token] : config.tokens.named) {
    if (!added.contains(token.content)) {
      STEPCAST_RETURN_IF_ERROR(registry.Register(token, std::nullopt));
    }
  }
  for (const TokenDeclaration& token : config.tokens.extra) {
    if (!added.contains(token.content)) {
      STEPCAST_RETURN_IF_ERROR(registry.Register(token, std::nullopt));
    }
  }
  return registry.TakeTokens();
}

}  // namespace stepcast

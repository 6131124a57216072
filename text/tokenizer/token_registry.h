#pragma once
// From declared tokens to tokens with ids.

#include <vector>

#include "absl/status/statusor.h"
#include "text/tokenizer/added_tokens.h"
#include "text/vocabulary/tokenizer_config.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {

// Registers the tokens of `config` as the reference does: first the added ones by declared id, then those with a role
// and the extra ones that are not among them. A token that `vocabulary` has keeps its id, others follow behind the
// vocabulary; of two declarations of one text the later sets the flags.
// Errors: INVALID_ARGUMENT when a declared id is not the one that the token gets, or an id is taken.
absl::StatusOr<std::vector<AddedToken>> RegisterTokens(const TokenizerConfig& config, const Vocabulary& vocabulary);

}  // namespace stepcast

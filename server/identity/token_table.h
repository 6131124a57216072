#pragma once
// The tokens that a port knows.

#include <string_view>
#include <utility>
#include <vector>

#include "server/config/token_file.h"

namespace stepcast {

// Immutable.
//
// Thread-safety: const methods may be called from any thread.
class TokenTable {
 public:
  explicit TokenTable(std::vector<TokenEntry> entries) : entries_(std::move(entries)) {}

  // The entry of `token`, expired or not; null when nobody has it. Looks at every entry, whatever it finds, so that the
  // time it takes tells nothing.
  const TokenEntry* Find(std::string_view token) const;

  size_t size() const { return entries_.size(); }

 private:
  const std::vector<TokenEntry> entries_;
};

}  // namespace stepcast

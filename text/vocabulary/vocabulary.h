#pragma once
// Tokens and their ids.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace stepcast {

// A one-to-one map between tokens and ids. Ids need not be dense.
//
// Thread-safety: const methods may be called from any thread.
class Vocabulary {
 public:
  static constexpr int32_t kMaxId = (1 << 20) - 1;  // 21 times CLIP's vocabulary
  static constexpr size_t kMaxTokenBytes = 1024;

  // Errors: INVALID_ARGUMENT when the token is empty, too long or there already, or the id is out of 0..kMaxId or
  // taken.
  absl::Status Add(std::string token, int64_t id);

  std::optional<int32_t> Find(std::string_view token) const;

  // The token of `id`, "" when no token has it.
  std::string_view TokenOf(int32_t id) const;

  size_t size() const { return ids_.size(); }
  int32_t max_id() const { return static_cast<int32_t>(tokens_.size()) - 1; }  // -1 when empty

 private:
  absl::flat_hash_map<std::string, int32_t> ids_;
  std::vector<std::string> tokens_;  // by id; "" where no token has the id
};

// `token` for a message: escaped, and shortened when long.
std::string QuoteToken(std::string_view token);

}  // namespace stepcast

#include "server/identity/token_table.h"

#include <cstdint>

namespace stepcast {

const TokenEntry* TokenTable::Find(std::string_view token) const {
  const TokenDigest digest = DigestOf(token);
  // Of the place of the entry plus one: 0 for none.
  uint64_t found = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const TokenDigest& other = entries_[i].digest;
    const uint64_t differs =
        (digest[0] ^ other[0]) | (digest[1] ^ other[1]) | (digest[2] ^ other[2]) | (digest[3] ^ other[3]);
    // All ones where nothing differs, without a branch.
    const uint64_t equal = ((differs | (~differs + 1)) >> 63) - 1;
    found |= equal & (i + 1);
  }
  return found == 0 ? nullptr : &entries_[found - 1];
}

}  // namespace stepcast

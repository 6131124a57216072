#pragma once
// Byte-pair encoding of one word.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {

// Two tokens that become one; the earlier in the list, the sooner they merge.
using MergeList = std::vector<std::pair<std::string, std::string>>;

// Marks the last symbol of a word.
inline constexpr char kEndOfWord[] = "</w>";

// A CLIP-style byte-pair encoder: the last symbol of a word carries kEndOfWord, bytes without a token become the
// unknown token, and no pair is merged out of rank order. A word of n bytes costs O(n log n), whatever it holds. There
// is no cache: a prompt of 8 KiB takes about a millisecond.
//
// Thread-safety: const methods may be called from any thread, each with its own Scratch.
class Bpe {
 public:
  struct MergeRule {
    uint32_t rank = 0;
    int32_t merged = 0;  // id
  };
  struct Symbol {
    int32_t id = 0;
    int32_t previous = -1;  // index, -1: first
    int32_t next = -1;      // index, -1: last
    bool alive = true;
  };
  struct Candidate {
    uint32_t rank = 0;
    uint32_t position = 0;  // of the left symbol
    int32_t merged = 0;
  };
  // Buffers that are reused from word to word.
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;  // a heap, the lowest (rank, position) first
  };

  // Errors: INVALID_ARGUMENT "merge N: ..." (counted from 1) when a merge names a token that is not in `vocabulary`,
  // or makes one. When a pair is listed twice the later rank counts, as in the reference.
  static absl::StatusOr<Bpe> Create(const Vocabulary& vocabulary, const MergeList& merges, int32_t unknown_id);

  // Appends the ids of `word`, which is any bytes, not yet in the byte alphabet.
  void EncodeWord(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const;

 private:
  Bpe() = default;
  const MergeRule* FindMerge(int32_t left, int32_t right) const;
  void PushCandidate(const Scratch& scratch, int32_t position, std::vector<Candidate>* queue) const;
  void MergeAll(Scratch* scratch) const;

  std::array<int32_t, 256> inner_ids_{};  // by byte: ids of one-byte symbols inside a word
  std::array<int32_t, 256> last_ids_{};   // by byte: ids of one-byte symbols at a word's end
  absl::flat_hash_map<uint64_t, MergeRule> merges_;
};

}  // namespace stepcast

#include "text/vocabulary/bpe.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "text/vocabulary/byte_alphabet.h"

namespace stepcast {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

// Heap order: the front is the candidate of the lowest rank, and of those the leftmost.
bool IsAfter(const Bpe::Candidate& a, const Bpe::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

absl::Status UnknownMergeToken(size_t index, const std::string& token) {
  return absl::InvalidArgumentError(
      absl::StrCat("merge ", index + 1, ": token ", QuoteToken(token), " is not in the vocabulary"));
}

}  // namespace

absl::StatusOr<Bpe> Bpe::Create(const Vocabulary& vocabulary, const MergeList& merges, int32_t unknown_id) {
  Bpe bpe;
  for (int byte = 0; byte < 256; ++byte) {
    const auto index = static_cast<size_t>(byte);
    const std::string& character = CharacterOfByte(static_cast<uint8_t>(byte));
    bpe.inner_ids_[index] = vocabulary.Find(character).value_or(unknown_id);
    bpe.last_ids_[index] = vocabulary.Find(absl::StrCat(character, kEndOfWord)).value_or(unknown_id);
  }
  bpe.merges_.reserve(merges.size());
  for (size_t index = 0; index < merges.size(); ++index) {
    const auto& [left, right] = merges[index];
    const std::string joined = left + right;
    const std::optional<int32_t> left_id = vocabulary.Find(left);
    const std::optional<int32_t> right_id = vocabulary.Find(right);
    const std::optional<int32_t> merged_id = vocabulary.Find(joined);
    if (!left_id.has_value() || !right_id.has_value() || !merged_id.has_value()) {
      return UnknownMergeToken(index, !left_id.has_value() ? left : !right_id.has_value() ? right : joined);
    }
    bpe.merges_[PairKey(*left_id, *right_id)] = {.rank = static_cast<uint32_t>(index), .merged = *merged_id};
  }
  return bpe;
}

void Bpe::EncodeWord(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const {
  if (word.empty()) {
    return;
  }
  std::vector<Symbol>& symbols = scratch->symbols;
  symbols.clear();
  const auto count = static_cast<int32_t>(word.size());
  for (int32_t index = 0; index < count; ++index) {
    const auto byte = static_cast<uint8_t>(word[static_cast<size_t>(index)]);
    const bool is_last = index + 1 == count;
    symbols.push_back(
        {.id = is_last ? last_ids_[byte] : inner_ids_[byte], .previous = index - 1, .next = is_last ? -1 : index + 1});
  }
  MergeAll(scratch);
  for (const Symbol& symbol : symbols) {
    if (symbol.alive) {
      ids->push_back(symbol.id);
    }
  }
}

const Bpe::MergeRule* Bpe::FindMerge(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

// Adds the pair that starts at `position` if it may merge. The caller restores the heap order.
void Bpe::PushCandidate(const Scratch& scratch, int32_t position, std::vector<Candidate>* queue) const {
  if (position < 0 || scratch.symbols[static_cast<size_t>(position)].next < 0) {
    return;
  }
  const Symbol& left = scratch.symbols[static_cast<size_t>(position)];
  const Symbol& right = scratch.symbols[static_cast<size_t>(left.next)];
  if (const MergeRule* rule = FindMerge(left.id, right.id); rule != nullptr) {
    queue->push_back({.rank = rule->rank, .position = static_cast<uint32_t>(position), .merged = rule->merged});
  }
}

void Bpe::MergeAll(Scratch* scratch) const {
  std::vector<Symbol>& symbols = scratch->symbols;
  std::vector<Candidate>& queue = scratch->queue;
  queue.clear();
  for (size_t position = 0; position < symbols.size(); ++position) {
    PushCandidate(*scratch, static_cast<int32_t>(position), &queue);
  }
  std::make_heap(queue.begin(), queue.end(), IsAfter);
  const auto push = [&](int32_t position) {
    const size_t before = queue.size();
    PushCandidate(*scratch, position, &queue);
    if (queue.size() > before) {
      std::push_heap(queue.begin(), queue.end(), IsAfter);
    }
  };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), IsAfter);
    const Candidate top = queue.back();
    queue.pop_back();
    Symbol& left = symbols[top.position];
    if (!left.alive || left.next < 0) {
      continue;
    }
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    const MergeRule* rule = FindMerge(left.id, right.id);
    if (rule == nullptr || rule->merged != top.merged) {
      continue;  // either neighbour has changed since the pair was queued
    }
    left.id = top.merged;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) {
      symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(top.position);
    }
    push(left.previous);
    push(static_cast<int32_t>(top.position));
  }
}

}  // namespace stepcast

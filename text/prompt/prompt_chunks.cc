#include "text/prompt/prompt_chunks.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace stepcast {
namespace {

constexpr int kA1111CommaBacktrack = 20;

// What stands between the start and the end token of a chunk.
struct Content {
  std::vector<int32_t> ids = {};
  std::vector<float> weights = {};

  size_t size() const { return ids.size(); }
  void Add(int32_t id, float weight) {
    ids.push_back(id);
    weights.push_back(weight);
  }
  // Takes what stands at `from` and behind it away.
  Content SplitOff(size_t from) {
    const auto at = static_cast<std::ptrdiff_t>(from);
    Content rest{.ids = {ids.begin() + at, ids.end()}, .weights = {weights.begin() + at, weights.end()}};
    ids.resize(from);
    weights.resize(from);
    return rest;
  }
};

class Chunker {
 public:
  Chunker(const ClipTokenizer& tokenizer, const PseudoWords& words, const ChunkRules& rules)
      : tokenizer_(tokenizer),
        words_(words),
        rules_(rules),
        control_(tokenizer.control_tokens()),
        capacity_(static_cast<size_t>(tokenizer.max_length()) - 2) {}

  void Add(const PromptFragment& fragment) {
    if (fragment.breaks) return Close();
    const auto weight = static_cast<float>(fragment.weight);
    for (const PseudoWords::Piece& piece : words_.Split(fragment.text)) {
      if (piece.word >= 0) {
        AddWord(piece.word, weight);
        continue;
      }
      for (const int32_t id : tokenizer_.EncodeContent(piece.text)) AddToken(id, weight);
    }
  }

  PromptChunks Finish() {
    if (content_.size() > 0 || closed_ == 0) Close();
    result_.cut = SpellCut();
    return std::move(result_);
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  void AddToken(int32_t id, float weight) {
    if (id == control_.comma) {
      comma_ = content_.size();  // one that finds its chunk full opens the next and is forgotten
    } else {
      BreakAtComma();
    }
    if (content_.size() == capacity_) Close();
    content_.Add(id, weight);
  }

  void AddWord(int word, float weight) {
    BreakAtComma();
    const auto vectors = static_cast<size_t>(words_.word(word).vectors);
    if (content_.size() + vectors > capacity_) Close();
    const int32_t first = tokenizer_.max_id() + 1 + words_.first_vector(word);
    for (size_t k = 0; k < vectors; ++k) content_.Add(first + static_cast<int32_t>(k), weight);
  }

  void BreakAtComma() {
    const auto reach = static_cast<size_t>(rules_.comma_backtrack);
    if (reach == 0 || content_.size() < capacity_ || comma_ == kNone || content_.size() - comma_ > reach) return;
    Content rest = content_.SplitOff(comma_ + 1);
    Close();
    content_ = std::move(rest);
  }

  void Close() {
    const Content content = std::exchange(content_, {});
    comma_ = kNone;
    if (++closed_ > rules_.max_chunks) {
      cut_.insert(cut_.end(), content.ids.begin(), content.ids.end());
      return;
    }
    result_.tokens += static_cast<int>(content.size());
    PromptChunk chunk;
    const auto length = static_cast<size_t>(tokenizer_.max_length());
    chunk.ids.reserve(length);
    chunk.ids.push_back(control_.start);
    chunk.ids.insert(chunk.ids.end(), content.ids.begin(), content.ids.end());
    chunk.ids.push_back(control_.end);
    if (rules_.pads_behind_end && control_.pad != control_.end) {
      chunk.ids.erase(FirstEnd(&chunk.ids) + 1, chunk.ids.end());
    }
    chunk.ids.resize(length, control_.pad);
    chunk.weights.assign(length, 1.0F);
    std::copy(content.weights.begin(), content.weights.end(), chunk.weights.begin() + 1);
    result_.chunks.push_back(std::move(chunk));
  }

  std::vector<int32_t>::iterator FirstEnd(std::vector<int32_t>* ids) const {
    return std::find(ids->begin(), ids->end(), control_.end);
  }

  // The cut ids as text: tokens as the tokenizer spells them, pseudo-words by name.
  std::string SpellCut() const {
    std::string text;
    for (size_t at = 0; at < cut_.size();) {
      const int vector = cut_[at] - tokenizer_.max_id() - 1;
      size_t end = at;
      if (!text.empty()) text += ' ';
      if (vector >= 0) {
        const PseudoWord& word = words_.word(words_.WordOfVector(vector));
        text += word.name;
        end += static_cast<size_t>(word.vectors);
      } else {
        while (end < cut_.size() && cut_[end] <= tokenizer_.max_id()) ++end;
        text += tokenizer_.Decode({cut_.data() + at, end - at});
      }
      at = end;
    }
    return text;
  }

  const ClipTokenizer& tokenizer_;
  const PseudoWords& words_;
  const ChunkRules& rules_;
  const ControlTokens control_;
  const size_t capacity_;  // content of a chunk
  PromptChunks result_;
  int closed_ = 0;        // chunks, those that were cut too
  Content content_;       // of the chunk that is open
  size_t comma_ = kNone;  // index of its last comma
  std::vector<int32_t> cut_;
};

}  // namespace

ChunkRules ChunkRulesOf(PromptSyntax syntax, int max_chunks) {
  if (syntax == PromptSyntax::kPlain) return {};
  return {.max_chunks = max_chunks, .comma_backtrack = kA1111CommaBacktrack, .pads_behind_end = true};
}

PromptChunks ChunkPrompt(std::span<const PromptFragment> fragments, const ClipTokenizer& tokenizer,
                         const PseudoWords& words, const ChunkRules& rules) {
  Chunker chunker(tokenizer, words, rules);
  for (const PromptFragment& fragment : fragments) chunker.Add(fragment);
  return chunker.Finish();
}

}  // namespace stepcast

#include "text/prompt/prompt_encoding.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "text/prompt/prompt_chunks.h"

namespace stepcast {
namespace {

// A prompt as one encoder reads it: its chunks one after the other.
struct Joined {
  std::vector<int32_t> ids = {};
  std::vector<float> weights = {};
  EncodedLength length = {};
};

Joined Plain(const EncoderText& text) {
  const std::string& words = text.fragments.front().text;
  TokenizedPrompt encoded = text.tokenizer->Encode(words);
  const auto all = static_cast<int>(text.tokenizer->EncodeContent(words).size());
  return {
      .ids = std::move(encoded.ids),
      .length = {
          .tokens = std::min(all, text.tokenizer->max_length() - 2), .chunks = 1, .cut = std::move(encoded.truncated)}};
}

Joined Cut(const EncoderText& text, const EncodingRules& rules) {
  if (rules.syntax == PromptSyntax::kPlain) return Plain(text);
  static const PseudoWords& none = *new PseudoWords();
  PromptChunks cut = ChunkPrompt(text.fragments, *text.tokenizer, rules.words == nullptr ? none : rules.words->words,
                                 ChunkRulesOf(rules.syntax, rules.max_chunks));
  Joined joined{.length = {cut.tokens, static_cast<int>(cut.chunks.size()), std::move(cut.cut)}};
  for (const PromptChunk& chunk : cut.chunks) {
    joined.ids.insert(joined.ids.end(), chunk.ids.begin(), chunk.ids.end());
    joined.weights.insert(joined.weights.end(), chunk.weights.begin(), chunk.weights.end());
  }
  return joined;
}

// Gives the vectors in `encoders` the ids of PromptTokens::inversions, and makes those.
void NameInversions(std::span<const EncoderText> texts, const ModelWords& words, std::vector<Joined>& encoders,
                    PromptTokens& tokens) {
  std::map<int, int> first_of;  // word -> number of its first vector among those that are used
  int used = 0;
  for (size_t i = 0; i < encoders.size(); ++i) {
    const int32_t largest = texts[i].tokenizer->max_id();
    for (int32_t& id : encoders[i].ids) {
      if (id <= largest) continue;
      const int vector = id - largest - 1;
      const int word = words.words.WordOfVector(vector);
      const auto [first, fresh] = first_of.try_emplace(word, used);
      if (fresh) {
        used += words.words.word(word).vectors;
        tokens.inversions.push_back({words.files[static_cast<size_t>(word)]});
      }
      id = InversionId(first->second + vector - words.words.first_vector(word));
    }
  }
}

// Appends empty chunks until there are `chunks`.
void Fill(const EncoderText& text, const EncodingRules& rules, int chunks, Joined& joined) {
  const PromptFragment nothing;
  const Joined empty = Cut({text.tokenizer, {&nothing, 1}}, rules);
  for (int i = joined.length.chunks; i < chunks; ++i) {
    joined.ids.insert(joined.ids.end(), empty.ids.begin(), empty.ids.end());
    joined.weights.insert(joined.weights.end(), empty.weights.begin(), empty.weights.end());
  }
}

}  // namespace

EncodedPrompt EncodePrompt(std::span<const EncoderText> texts, const EncodingRules& rules) {
  EncodedPrompt encoded;
  PromptTokens& tokens = encoded.tokens;
  std::vector<Joined> encoders;
  for (const EncoderText& text : texts) {
    encoders.push_back(Cut(text, rules));
    tokens.chunks = std::max(tokens.chunks, encoders.back().length.chunks);
  }
  if (rules.words != nullptr) NameInversions(texts, *rules.words, encoders, tokens);
  bool weighs = false;
  for (size_t i = 0; i < encoders.size(); ++i) {
    Joined& each = encoders[i];
    if (each.length.chunks < tokens.chunks) Fill(texts[i], rules, tokens.chunks, each);
    weighs = weighs || std::ranges::any_of(each.weights, [](float weight) { return weight != 1.0F; });
    tokens.ids.push_back(std::move(each.ids));
    tokens.weights.push_back(std::move(each.weights));
    encoded.lengths.push_back(std::move(each.length));
  }
  if (!weighs) tokens.weights.clear();
  tokens.restores_mean = weighs && rules.syntax == PromptSyntax::kA1111;
  return encoded;
}

}  // namespace stepcast

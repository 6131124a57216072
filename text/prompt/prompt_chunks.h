#pragma once
// From weighted text to what text encoders read: chunks of the same length.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/prompt/prompt_parser.h"
#include "text/prompt/pseudo_words.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

// One forward of a text encoder. Both lists have the tokenizer's max_length() entries.
struct PromptChunk {
  std::vector<int32_t> ids;    // start, content, end, padding
  std::vector<float> weights;  // 1 for what is not content

  friend bool operator==(const PromptChunk&, const PromptChunk&) = default;
};

struct PromptChunks {
  std::vector<PromptChunk> chunks;  // at least one
  int tokens = 0;                   // content in them
  std::string cut;                  // the text that did not fit, spelled from its tokens; "" when all did

  friend bool operator==(const PromptChunks&, const PromptChunks&) = default;
};

struct ChunkRules {
  int max_chunks = 1;
  // When a chunk is full and its last comma is at most this many tokens back, what follows the comma goes to the next
  // chunk. 0: chunks end wherever they are full.
  int comma_backtrack = 0;
  // Where padding is not the end token, it follows the first of these, also one that the prompt spells.
  bool pads_behind_end = false;
};

// How the reference of a syntax cuts: PLAIN one chunk, A1111 `max_chunks` with commas 20 tokens back.
ChunkRules ChunkRulesOf(PromptSyntax syntax, int max_chunks);

// Cuts a prompt into chunks. Each fragment is tokenised by itself, each of its tokens has its weight. A pseudo-word is
// as many ids as it has vectors, from tokenizer.max_id() + 1 + its first vector on, and stays in one chunk. The chunks
// do not depend on max_chunks: fewer are the first of more. Linear in the fragments, but for the chunks themselves. A
// prompt of one plain fragment, without pseudo-words, is cut as ClipTokenizer::Encode does when max_chunks is 1.
// REQUIRES: max_chunks >= 1; `words` was made for this vocabulary.
PromptChunks ChunkPrompt(std::span<const PromptFragment> fragments, const ClipTokenizer& tokenizer,
                         const PseudoWords& words, const ChunkRules& rules);

}  // namespace stepcast

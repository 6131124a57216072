#pragma once
// From the fragments of a prompt to what all text encoders of a model read.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/prompt_syntax.h"
#include "core/prompt_tokens.h"
#include "text/prompt/prompt_parser.h"
#include "text/prompt/pseudo_words.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

// The textual inversions that prompts of one model may name, and their files, by the index of the word.
struct ModelWords {
  PseudoWords words = {};
  std::vector<std::shared_ptr<const TextualInversion>> files = {};
};

// What one encoder is given.
struct EncoderText {
  const ClipTokenizer* tokenizer = nullptr;
  std::span<const PromptFragment> fragments;
};

struct EncodingRules {
  PromptSyntax syntax = PromptSyntax::kPlain;
  int max_chunks = 1;
  const ModelWords* words = nullptr;  // null: no textual inversions
};

// What became of one encoder's text.
struct EncodedLength {
  int tokens = 0;   // content
  int chunks = 0;   // that it needs, before empty ones follow
  std::string cut;  // the text that did not fit; ""
};

struct EncodedPrompt {
  PromptTokens tokens;
  std::vector<EncodedLength> lengths;  // by encoder
};

// In PLAIN as ClipTokenizer::Encode. Else up to `max_chunks` chunks, equally many for each encoder: where one would
// have fewer, empty ones follow. Weights are there where some are not 1. REQUIRES: at least one encoder; of PLAIN one
// fragment each.
EncodedPrompt EncodePrompt(std::span<const EncoderText> texts, const EncodingRules& rules);

}  // namespace stepcast

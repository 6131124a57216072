#pragma once
// From the texts of a request to what text encoders read.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/prompt_syntax.h"
#include "core/prompt_tokens.h"
#include "server/catalog/model_registry.h"
#include "server/request/errors/field_violations.h"
#include "text/prompt/prompt_encoding.h"
#include "text/prompt/prompt_parser.h"

namespace stepcast {

inline constexpr size_t kMaxPromptParts = 8;  // between ANDs

// A text for all encoders, or for the first where the others have one of their own.
struct PromptTexts {
  absl::string_view field;  // "prompt"
  std::string_view text;
  absl::string_view second_field;  // "prompt_2"
  std::string_view second = {};    // "": the same as the first
};

// What became of them.
struct ReadPrompt {
  std::vector<WeightedPrompt> parts = {};  // one but for a positive prompt with AND
  std::vector<PromptLength> lengths = {};
  std::vector<std::string> warnings = {};
};

// Reads prompts for one model.
//
// PLAIN is ClipTokenizer::Encode; in the other syntaxes a prompt has up to `max_chunks` chunks (EncodePrompt).
class PromptReader {
 public:
  // REQUIRES: the model reads text and outlives the reader; max_chunks >= 1. `words` null: no textual inversions.
  PromptReader(const RegisteredModel& model, PromptSyntax syntax, int max_chunks,
               std::shared_ptr<const ModelWords> words = nullptr)
      : model_(model), syntax_(syntax), max_chunks_(max_chunks), words_(std::move(words)) {}

  // Texts that are valid UTF-8. What cannot be read becomes a violation with its place, and there are no parts.
  // `positive`: AND separates parts.
  ReadPrompt Read(const PromptTexts& texts, bool positive, FieldViolations& violations) const;

 private:
  struct Told;

  // `second` null: all encoders read `part`.
  PromptTokens CutPart(const PromptPart& part, const PromptPart* second, std::vector<Told>& told) const;
  void Tell(Told& told, ReadPrompt& read) const;

  const RegisteredModel& model_;
  const PromptSyntax syntax_;
  const int max_chunks_;
  const std::shared_ptr<const ModelWords> words_;
};

}  // namespace stepcast

#include "server/request/checks/prompt_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/request/checks/prompt_syntax.h"
#include "server/wire/text_limits.h"
#include "text/prompt/prompt_encoding.h"
#include "text/prompt/prompt_parser.h"

namespace stepcast {
namespace {

// What the parser says, with the offset that it gives.
void AddUnreadable(absl::string_view field, const absl::Status& problem, FieldViolations& violations) {
  violations.Add(field, absl::StrCat("at ", problem.message()),
                 "text of its prompt_syntax, where a backslash takes a bracket's meaning away");
}

std::vector<PromptPart> Parse(absl::string_view field, std::string_view text, PromptSyntax syntax, bool positive,
                              FieldViolations& violations) {
  if (positive) {
    absl::StatusOr<std::vector<PromptPart>> parts = ParsePromptParts(text, syntax);
    if (parts.ok() && parts->size() <= kMaxPromptParts) return *std::move(parts);
    if (!parts.ok()) AddUnreadable(field, parts.status(), violations);
    if (parts.ok()) {
      violations.Add(field, absl::StrCat(parts->size(), " parts between AND"), absl::StrCat("1..", kMaxPromptParts));
    }
    return {};
  }
  absl::StatusOr<std::vector<PromptFragment>> fragments = ParsePrompt(text, syntax);
  if (fragments.ok()) return {{.fragments = *std::move(fragments)}};
  AddUnreadable(field, fragments.status(), violations);
  return {};
}

std::string CutWarning(absl::string_view field, const std::string& cut, int max_length, int max_chunks) {
  const std::string quoted = Quoted(cut, cut.size());
  if (max_chunks == 0) {
    return absl::StrCat(field, " is longer than the ", max_length, " tokens that the model reads; cut: ", quoted,
                        "; prompt_syntax PROMPT_SYNTAX_A1111 reads longer prompts");
  }
  return absl::StrCat(field, " is longer than the ", max_chunks, " chunks of ", max_length - 2,
                      " tokens that the server reads; cut: ", quoted,
                      "; see ServerLimits.max_prompt_chunks of GetServerInfo");
}

}  // namespace

// What is told of one of the texts.
struct PromptReader::Told {
  absl::string_view field;
  std::string_view text;
  int tokens = 0;
  int chunks = 0;
  std::string cut = {};  // of the encoder that cut most, and
  int max_length = 0;    // its length
};

PromptTokens PromptReader::CutPart(const PromptPart& part, const PromptPart* second, std::vector<Told>& told) const {
  std::vector<EncoderText> texts;
  for (size_t i = 0; i < model_.tokenizers.size(); ++i) {
    const PromptPart& own = second != nullptr && i > 0 ? *second : part;
    texts.push_back({model_.tokenizers[i].get(), own.fragments});
  }
  EncodedPrompt encoded = EncodePrompt(texts, {syntax_, max_chunks_, words_.get()});
  std::vector<PromptLength> longest(told.size());
  for (size_t i = 0; i < encoded.lengths.size(); ++i) {
    const size_t from = second != nullptr && i > 0 ? 1 : 0;
    EncodedLength& length = encoded.lengths[i];
    longest[from].tokens = std::max(longest[from].tokens, length.tokens);
    longest[from].chunks = std::max(longest[from].chunks, length.chunks);
    if (length.cut.size() <= told[from].cut.size()) continue;
    told[from].cut = std::move(length.cut);
    told[from].max_length = model_.tokenizers[i]->max_length();
  }
  for (size_t i = 0; i < told.size(); ++i) {
    told[i].tokens += longest[i].tokens;
    told[i].chunks += longest[i].chunks;
  }
  return std::move(encoded.tokens);
}

void PromptReader::Tell(Told& told, ReadPrompt& read) const {
  if (!told.cut.empty()) {
    read.warnings.push_back(
        CutWarning(told.field, told.cut, told.max_length, syntax_ == PromptSyntax::kPlain ? 0 : max_chunks_));
  }
  for (std::string& warning : PromptSyntaxWarnings(told.field, {told.text.data(), told.text.size()}, syntax_)) {
    read.warnings.push_back(std::move(warning));
  }
  read.lengths.push_back({.field = std::string(told.field), .tokens = told.tokens, .chunks = told.chunks});
}

ReadPrompt PromptReader::Read(const PromptTexts& texts, bool positive, FieldViolations& violations) const {
  const std::vector<PromptPart> parts = Parse(texts.field, texts.text, syntax_, positive, violations);
  std::vector<PromptPart> second;
  const bool apart = !texts.second.empty();
  if (apart) {
    second = Parse(texts.second_field, texts.second, syntax_, /*positive=*/false, violations);
    if (parts.size() > 1) {
      violations.Add(texts.second_field, "a text",
                     absl::StrCat("unset, because ", texts.field, " has ", parts.size(), " parts between AND"));
    }
  }
  if (parts.empty() || (apart && (second.empty() || parts.size() > 1))) return {};

  std::vector<Told> told = {{.field = texts.field, .text = texts.text}};
  if (apart) told.push_back({.field = texts.second_field, .text = texts.second});
  ReadPrompt read;
  for (const PromptPart& part : parts) {
    read.parts.push_back({CutPart(part, apart ? &second.front() : nullptr, told), part.weight});
  }
  for (Told& each : told) Tell(each, read);
  if (parts.size() == 1 && parts.front().weight != 1.0) {
    read.warnings.push_back(absl::StrCat(texts.field, " ends in the weight ", parts.front().weight,
                                         " of the whole prompt; a comma behind it makes it words"));
  }
  return read;
}

}  // namespace stepcast

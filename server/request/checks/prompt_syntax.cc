#include "server/request/checks/prompt_syntax.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

enum Kind { kWeight, kEmphasis, kSchedule, kChoice, kAdapter, kEmbedding, kWildcard, kBreak, kAnd, kControl, kWords };
constexpr size_t kKinds = kWords + 1;
constexpr size_t kShownBytes = 60;

constexpr std::array<absl::string_view, kKinds> kWhat = {
    "is painted as words: weights are read with prompt_syntax A1111",
    "is painted as words: brackets weigh with prompt_syntax A1111",
    "is painted as words: one prompt holds for all steps",
    "is painted as words: nothing is chosen",
    "is painted as words: prompts load no adapters, `loras` names them",
    "is painted as words: embeddings are read by their name alone, with prompt_syntax A1111",
    "is painted as words: there are no wildcards",
    "is painted as a word: it ends chunks with prompt_syntax A1111",
    "is painted as a word: it joins prompts with prompt_syntax A1111",
    "is read as a control token of the text encoder, not as words",
    "is painted as words: the text encoder has no such control token",
};

// In the A1111 syntaxes, or refused by them.
bool IsRead(Kind kind) {
  return kind == kWeight || kind == kEmphasis || kind == kSchedule || kind == kAdapter || kind == kBreak ||
         kind == kAnd;
}

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// Whether the last word of `text` is a number without a fraction.
bool EndsWithWholeNumber(absl::string_view text) {
  const size_t size = text.size();
  while (!text.empty() && IsDigit(text.back())) text.remove_suffix(1);
  return text.size() < size && (text.empty() || absl::ascii_isspace(static_cast<unsigned char>(text.back())));
}

// Whether `text` ends like the inside of "(word:1.2)". "16:9" is a ratio and "10:30" a time.
bool EndsWithWeight(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  const absl::string_view all = text;
  while (!text.empty() && (IsDigit(text.back()) || text.back() == '.')) text.remove_suffix(1);
  const bool whole = !absl::StrContains(all.substr(text.size()), ".");
  if (text.size() == all.size()) return false;
  if (!text.empty() && (text.back() == '-' || text.back() == '+')) text.remove_suffix(1);
  text = absl::StripTrailingAsciiWhitespace(text);
  return absl::ConsumeSuffix(&text, ":") && !(whole && EndsWithWholeNumber(text));
}

// Whether `text` goes on like "(words)++", or "(words)--".
bool BeginsWithSigns(absl::string_view text) {
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return false;
  const size_t run = std::min(text.find_first_not_of(text[0]), text.size());
  if (text[0] == '-' && run == 1) return false;  // a hyphen
  return run == text.size() || absl::StrContains(" \t\r\n,.;)", text.substr(run, 1));
}

// Whether `text` begins with a fraction: "(word)1.2".
bool BeginsWithFraction(absl::string_view text) {
  const size_t whole = std::find_if_not(text.begin(), text.end(), IsDigit) - text.begin();
  return whole + 1 < text.size() && text[whole] == '.' && IsDigit(text[whole + 1]);
}

bool LoadsAdapter(absl::string_view inner) {
  for (const absl::string_view name : {"lora:", "lyco:", "lycoris:", "locon:", "hypernet:", "ti:"}) {
    if (absl::StartsWithIgnoreCase(inner, name)) return true;
  }
  return false;
}

std::optional<Kind> AngleKind(absl::string_view inner) {
  if (LoadsAdapter(inner)) return kAdapter;
  if (inner == "|startoftext|" || inner == "|endoftext|") return kControl;
  const bool bars = inner.size() > 2 && inner.front() == '|' && inner.back() == '|';
  const auto is_name = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  if (bars && std::all_of(inner.begin() + 1, inner.end() - 1, is_name)) return kWords;
  return std::nullopt;
}

class Scanner {
 public:
  explicit Scanner(absl::string_view text) : text_(text) {}

  // The first example of each kind; empty: none.
  const std::array<absl::string_view, kKinds>& Scan() {
    for (size_t i = 0; i < text_.size(); ++i) ScanBracket(i);
    ScanWords();
    return found_;
  }

 private:
  static constexpr size_t kNone = absl::string_view::npos;

  void Note(Kind kind, absl::string_view example) {
    if (found_[kind].empty()) found_[kind] = example;
  }

  // The text between the bracket that `open` remembers and the one at `i`; forgets it.
  std::optional<absl::string_view> Close(size_t& open, size_t i) {
    const size_t from = std::exchange(open, kNone);
    if (from == kNone) return std::nullopt;
    return text_.substr(from + 1, i - from - 1);
  }

  void Open(size_t& open, size_t& doubled, size_t i) {
    if (open != kNone && open + 1 == i) doubled = open;
    open = i;
  }

  void CloseDoubled(size_t& doubled, size_t i) {
    if (doubled == kNone || i + 1 >= text_.size() || text_[i + 1] != text_[i]) return;
    Note(kEmphasis, text_.substr(doubled, i + 2 - doubled));
    doubled = kNone;
  }

  void ScanBracket(size_t i) {
    switch (text_[i]) {
      case '(':
        return Open(round_, double_round_, i);
      case '[':
        return Open(square_, double_square_, i);
      case '<':
        angle_ = i;
        return;
      case '{':
        curly_ = i;
        return;
      case ')':
        return CloseRound(i);
      case ']':
        if (const auto inner = Close(square_, i); inner && (EndsWithWeight(*inner) || absl::StrContains(*inner, "|"))) {
          Note(kSchedule, absl::string_view(inner->data() - 1, inner->size() + 2));
        }
        return CloseDoubled(double_square_, i);
      case '>':
        if (const auto inner = Close(angle_, i)) {
          if (const auto kind = AngleKind(*inner)) Note(*kind, absl::string_view(inner->data() - 1, inner->size() + 2));
        }
        return;
      case '}':
        if (const auto inner = Close(curly_, i); inner && absl::StrContains(*inner, "|")) {
          Note(kChoice, absl::string_view(inner->data() - 1, inner->size() + 2));
        }
        return;
      default:
        return;
    }
  }

  void CloseRound(size_t i) {
    if (const auto inner = Close(round_, i);
        inner &&
        (EndsWithWeight(*inner) || BeginsWithFraction(text_.substr(i + 1)) || BeginsWithSigns(text_.substr(i + 1)))) {
      Note(kWeight, absl::string_view(inner->data() - 1, inner->size() + 2));
    }
    CloseDoubled(double_round_, i);
  }

  void ScanWords() {
    // In capitals throughout, BREAK and AND are words like the others.
    const bool has_lower = std::any_of(text_.begin(), text_.end(),
                                       [](char c) { return absl::ascii_islower(static_cast<unsigned char>(c)); });
    for (absl::string_view word : absl::StrSplit(text_, absl::ByAnyChar(" \t\r\n,;"), absl::SkipEmpty())) {
      if (has_lower && word == "BREAK") Note(kBreak, word);
      if (has_lower && word == "AND") Note(kAnd, word);
      if (absl::StartsWithIgnoreCase(word, "embedding:") && word.size() > 10) Note(kEmbedding, word);
      if (word.size() > 4 && absl::StartsWith(word, "__") && absl::EndsWith(word, "__")) Note(kWildcard, word);
    }
  }

  absl::string_view text_;
  std::array<absl::string_view, kKinds> found_ = {};
  size_t round_ = kNone, square_ = kNone, angle_ = kNone, curly_ = kNone;  // the last one that is open
  size_t double_round_ = kNone, double_square_ = kNone;                    // where "((" and "[[" begin
};

}  // namespace

std::vector<std::string> PromptSyntaxWarnings(absl::string_view field, absl::string_view text, PromptSyntax syntax) {
  Scanner scanner(text);
  const auto& found = scanner.Scan();
  std::vector<std::string> warnings;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (found[kind].empty() || (syntax != PromptSyntax::kPlain && IsRead(static_cast<Kind>(kind)))) continue;
    warnings.push_back(absl::StrCat(field, ": ", Quoted(std::string(found[kind]), kShownBytes), " ", kWhat[kind]));
  }
  return warnings;
}

}  // namespace stepcast

#include "text/prompt/foreign_syntax.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "text/prompt/prompt_scan.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

constexpr size_t kNone = std::string_view::npos;

absl::Status Refusal(size_t offset, std::string_view example, std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("byte offset ", offset, ": ", QuoteToken(example), " ",
                                                 absl::string_view(reason.data(), reason.size())));
}

std::string_view WhatItLoads(std::string_view kind) {
  const absl::string_view name(kind.data(), kind.size());
  for (const absl::string_view lora : {"lora", "lyco", "lycoris", "locon"}) {
    if (absl::EqualsIgnoreCase(name, lora))
      return "names a LoRA: prompts load none; take it out and name it in the field loras";
  }
  if (absl::EqualsIgnoreCase(name, "hypernet")) return "names a hypernetwork: there are none; take it out";
  return "names an extra network: prompts load none; take it out";
}

// Where the word characters end that begin at `position`.
size_t WordEnd(std::string_view text, size_t position) {
  while (position < text.size()) {
    size_t next = position;
    if (!IsPromptWord(ReadCharacter(text, &next))) break;
    position = next;
  }
  return position;
}

bool IsAsciiDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// Takes digits with at most one point from the front of `number`; whether there was a digit.
bool TakeDecimal(std::string_view& number) {
  size_t digits = 0, points = 0;
  while (!number.empty() && (IsAsciiDigit(number.front()) || (number.front() == '.' && points == 0))) {
    ++(number.front() == '.' ? points : digits);
    number.remove_prefix(1);
  }
  return digits > 0;
}

void TakeSign(std::string_view& number) {
  if (!number.empty() && (number.front() == '+' || number.front() == '-')) number.remove_prefix(1);
}

bool IsNumber(std::string_view number) {
  TakeSign(number);
  if (!TakeDecimal(number)) return false;
  if (number.empty()) return true;
  if (number.front() != 'e' && number.front() != 'E') return false;
  number.remove_prefix(1);
  TakeSign(number);
  return !number.empty() && number.find_first_not_of("0123456789") == kNone;
}

// The brackets that are open at one place of a text.
class BracketScan {
 public:
  BracketScan(std::string_view text, size_t offset) : text_(text), offset_(offset) {}

  absl::Status Scan() {
    for (size_t at = 0; at < text_.size(); ++at) {
      switch (text_[at]) {
        case '\\':
          ++at;  // what follows is text
          break;
        case '(':
        case '[':
          open_.push_back({.at = at, .square = text_[at] == '['});
          break;
        case '|':
          if (!open_.empty()) open_.back().bar = true;
          break;
        case ':':
          last_colon_ = at;
          break;
        case ')':
          Close(false);
          break;
        case ']':
          if (const absl::Status status = CloseSquare(at); !status.ok()) return status;
          break;
        default:
          break;
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Open {
    size_t at = 0;
    bool square = false;
    bool bar = false;  // a "|" directly inside
  };

  // Whether the innermost open bracket is of the kind. If not, none that is open now can be closed properly.
  bool Close(bool square) {
    if (open_.empty()) return false;
    if (open_.back().square != square) {
      open_.clear();
      return false;
    }
    open_.pop_back();
    return true;
  }

  absl::Status CloseSquare(size_t at) {
    const Open open = open_.empty() ? Open() : open_.back();
    if (!Close(true)) return absl::OkStatus();
    const std::string_view example = text_.substr(open.at, at + 1 - open.at);
    if (open.bar) {
      return Refusal(offset_ + open.at, example,
                     "takes turns between words, which is not supported; \"\\|\" paints the bar");
    }
    if (EndsInNumber(at)) {
      return Refusal(offset_ + open.at, example,
                     "changes words at a step, which is not supported; weights stand in round brackets, and \"\\:\" "
                     "paints the colon");
    }
    return absl::OkStatus();
  }

  // Whether a colon and a number stand before `end`, with white space around the number or without.
  bool EndsInNumber(size_t end) const {
    const size_t stop = SpaceBefore(text_, 0, end);
    size_t start = stop;
    while (start > 0 && text_.substr(start - 1, 1).find_first_of("0123456789.+-eE") != kNone) --start;
    const size_t before = SpaceBefore(text_, 0, start);
    return before > 0 && last_colon_ == before - 1 && IsNumber(text_.substr(start, stop - start));
  }

  const std::string_view text_;
  const size_t offset_;
  std::vector<Open> open_;
  size_t last_colon_ = kNone;  // that is not escaped
};

}  // namespace

absl::Status RefuseExtraNetworks(std::string_view text) {
  for (size_t at = text.find('<'); at != kNone; at = text.find('<', at + 1)) {
    const size_t colon = WordEnd(text, at + 1);
    if (colon == at + 1 || colon >= text.size() || text[colon] != ':') continue;
    const size_t close = text.find('>', colon + 1);
    if (close == kNone) return absl::OkStatus();  // nor is there one for the next
    if (close == colon + 1) continue;
    return Refusal(at, text.substr(at, close + 1 - at), WhatItLoads(text.substr(at + 1, colon - at - 1)));
  }
  return absl::OkStatus();
}

absl::Status RefuseForeignBrackets(std::string_view text, size_t offset) { return BracketScan(text, offset).Scan(); }

}  // namespace stepcast

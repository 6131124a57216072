#include "text/prompt/prompt_attention.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/shortest_number.h"
#include "core/status_macros.h"
#include "text/prompt/prompt_scan.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

constexpr double kRound = 1.1;
constexpr double kSquare = 1 / 1.1;
constexpr std::string_view kBreak = "BREAK";
constexpr std::string_view kSyntax = "\\()[]:";
constexpr std::string_view kEscapable = "\\()[]";

class AttentionParser {
 public:
  AttentionParser(std::string_view text, size_t offset) : text_(text), offset_(offset) {}

  absl::StatusOr<std::vector<PromptFragment>> Parse() {
    while (at_ < text_.size()) STEPCAST_RETURN_IF_ERROR(Step());
    for (const size_t from : round_) Multiply(from, kRound);
    for (const size_t from : square_) Multiply(from, kSquare);
    if (items_.empty()) items_.push_back({});
    STEPCAST_RETURN_IF_ERROR(CheckWeights());
    return Merged();
  }

 private:
  struct Item {
    PromptFragment fragment = {};
    size_t at = 0;  // where it begins
  };

  absl::Status Error(size_t at, std::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("byte offset ", offset_ + at, ": ", absl::string_view(what.data(), what.size())));
  }

  absl::Status Step() {
    switch (text_[at_]) {
      case '\\':
        ReadEscape();
        return absl::OkStatus();
      case '(':
        return Open(&round_);
      case '[':
        return Open(&square_);
      case ':':
        return ReadColon();
      case ')':
        Close(&round_, kRound);
        return absl::OkStatus();
      case ']':
        Close(&square_, kSquare);
        return absl::OkStatus();
      default:
        AppendText(std::min(text_.find_first_of(kSyntax, at_), text_.size()));
        return absl::OkStatus();
    }
  }

  void ReadEscape() {
    const size_t escaped = at_ + 1 < text_.size() && kEscapable.find(text_[at_ + 1]) != std::string_view::npos ? 1 : 0;
    Append(text_.substr(at_ + 1, escaped));
    at_ += 1 + escaped;
  }

  absl::Status Open(std::vector<size_t>* brackets) {
    if (round_.size() + square_.size() == kMaxPromptDepth) {
      return Error(at_, absl::StrCat("more than ", kMaxPromptDepth, " brackets are open"));
    }
    brackets->push_back(items_.size());
    ++at_;
    return absl::OkStatus();
  }

  void Close(std::vector<size_t>* brackets, double factor) {
    if (brackets->empty()) return AppendText(at_ + 1);
    Multiply(brackets->back(), factor);
    brackets->pop_back();
    ++at_;
  }

  // ":1.2)", or a colon.
  absl::Status ReadColon() {
    const NumberRun number = ReadNumberRun(text_, SkipSpace(text_, at_ + 1));
    const size_t close = number.empty() ? text_.size() : SkipSpace(text_, number.end);
    if (close >= text_.size() || text_[close] != ')') {
      AppendText(at_ + 1);
      return absl::OkStatus();
    }
    if (round_.empty()) {
      AppendText(close + 1);
      return absl::OkStatus();
    }
    const std::optional<double> factor = number.Value();
    if (!factor.has_value()) {
      return Error(at_ + 1, absl::StrCat("the weight ", QuoteToken(number.digits), " is no number"));
    }
    Multiply(round_.back(), *factor);
    round_.pop_back();
    at_ = close + 1;
    return absl::OkStatus();
  }

  void Append(std::string_view text) { items_.push_back({.fragment = {.text = std::string(text)}, .at = at_}); }

  // Takes what stands before `end` as text; BREAK in it ends chunks.
  void AppendText(size_t end) {
    const std::string_view run = text_.substr(at_, end - at_);
    size_t done = 0;
    for (size_t word = FindWord(run, kBreak, 0); word != std::string_view::npos; word = FindWord(run, kBreak, done)) {
      Append(run.substr(done, SpaceBefore(run, done, word) - done));
      items_.push_back({.fragment = {.breaks = true}});
      done = SkipSpace(run, word + kBreak.size());
    }
    Append(run.substr(done));
    at_ = end;
  }

  // Each item is weighed once by each bracket that was open when it came: linear, as depth is bounded.
  void Multiply(size_t from, double factor) {
    for (size_t index = from; index < items_.size(); ++index) {
      if (!items_[index].fragment.breaks) items_[index].fragment.weight *= factor;
    }
  }

  absl::Status CheckWeights() const {
    for (const Item& item : items_) {
      if (!(std::abs(item.fragment.weight) <= kMaxPromptWeight)) {
        return Error(item.at,
                     absl::StrCat(QuoteToken(item.fragment.text), " weighs ", ShortestNumber(item.fragment.weight),
                                  "; allowed are -", kMaxPromptWeight, "..", kMaxPromptWeight));
      }
    }
    return absl::OkStatus();
  }

  std::vector<PromptFragment> Merged() {
    std::vector<PromptFragment> merged;
    for (Item& item : items_) {
      PromptFragment& fragment = item.fragment;
      const bool joins = !merged.empty() && !fragment.breaks && !merged.back().breaks;
      if (joins && merged.back().weight == fragment.weight) {
        merged.back().text += fragment.text;
      } else {
        merged.push_back(std::move(fragment));
      }
    }
    return merged;
  }

  const std::string_view text_;
  const size_t offset_;
  size_t at_ = 0;
  std::vector<Item> items_;
  std::vector<size_t> round_, square_;  // the items at which the open brackets begin
};

}  // namespace

absl::StatusOr<std::vector<PromptFragment>> ParseAttention(std::string_view text, size_t offset) {
  return AttentionParser(text, offset).Parse();
}

}  // namespace stepcast

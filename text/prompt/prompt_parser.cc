#include "text/prompt/prompt_parser.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "text/prompt/foreign_syntax.h"
#include "text/prompt/prompt_attention.h"
#include "text/prompt/prompt_scan.h"
#include "text/vocabulary/vocabulary.h"

namespace stepcast {
namespace {

constexpr std::string_view kAnd = "AND";

// `text`, which begins at `offset` of the prompt, without the weight and the white space at its end.
struct WeightedText {
  std::string_view text = {};
  double weight = 1.0;
};

// The weight that `text` ends in; npos as its place when there is none.
std::pair<size_t, double> TrailingWeight(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {colon, 1.0};
  const NumberRun number = ReadNumberRun(text, SkipSpace(text, colon + 1));
  if (number.empty() || number.end != text.size()) return {std::string_view::npos, 1.0};
  const std::optional<double> value = number.Value();
  return value.has_value() ? std::pair(colon, *value) : std::pair(std::string_view::npos, 1.0);
}

absl::StatusOr<WeightedText> SplitWeight(std::string_view text, size_t offset) {
  text = text.substr(0, SpaceBefore(text, 0, text.size()));
  const auto [colon, weight] = TrailingWeight(text);
  if (colon == std::string_view::npos) return WeightedText{.text = text};
  if (!(std::abs(weight) <= kMaxPromptWeight)) {
    return absl::InvalidArgumentError(absl::StrCat("byte offset ", offset + colon, ": a part that weighs ",
                                                   QuoteToken(text.substr(colon + 1)), "; allowed are -",
                                                   kMaxPromptWeight, "..", kMaxPromptWeight));
  }
  return WeightedText{.text = text.substr(0, SpaceBefore(text, 0, colon)), .weight = weight};
}

absl::StatusOr<PromptPart> ParsePart(std::string_view text, size_t offset) {
  STEPCAST_ASSIGN_OR_RETURN(const WeightedText weighted, SplitWeight(text, offset));
  STEPCAST_RETURN_IF_ERROR(RefuseForeignBrackets(weighted.text, offset));
  PromptPart part{.weight = weighted.weight};
  STEPCAST_ASSIGN_OR_RETURN(part.fragments, ParseAttention(weighted.text, offset));
  return part;
}

}  // namespace

absl::StatusOr<std::vector<PromptFragment>> ParsePrompt(std::string_view text, PromptSyntax syntax) {
  if (syntax == PromptSyntax::kPlain) return std::vector<PromptFragment>{{.text = std::string(text)}};
  STEPCAST_RETURN_IF_ERROR(RefuseExtraNetworks(text));
  STEPCAST_RETURN_IF_ERROR(RefuseForeignBrackets(text, 0));
  return ParseAttention(text, 0);
}

absl::StatusOr<std::vector<PromptPart>> ParsePromptParts(std::string_view text, PromptSyntax syntax) {
  std::vector<PromptPart> parts;
  if (syntax == PromptSyntax::kPlain) {
    parts.push_back({.fragments = {{.text = std::string(text)}}});
    return parts;
  }
  STEPCAST_RETURN_IF_ERROR(RefuseExtraNetworks(text));
  for (size_t from = 0;;) {
    const size_t end = FindWord(text, kAnd, from);
    STEPCAST_ASSIGN_OR_RETURN(PromptPart part, ParsePart(text.substr(from, end - from), from));
    parts.push_back(std::move(part));
    if (end == std::string_view::npos) return parts;
    from = end + kAnd.size();
  }
}

}  // namespace stepcast

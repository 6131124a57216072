#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "server/request/checks/prompt_syntax.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

// Labels are listed in a message up to this many; beyond, GetModel is named instead.
constexpr size_t kMaxListedLabels = 12;

// Adds what is wrong with `text`; returns whether it can be tokenized.
bool CheckText(absl::string_view field, const std::string& text, int max_bytes, FieldViolations& violations) {
  const std::string allowed = absl::StrCat("valid UTF-8 without NUL, at most ", max_bytes, " bytes");
  if (text.size() > static_cast<size_t>(max_bytes)) {
    violations.Add(field, absl::StrCat(text.size(), " bytes"), allowed);
  } else if (const size_t invalid = FindInvalidUtf8(text); invalid != std::string::npos) {
    violations.Add(field, absl::StrCat("a byte that is not UTF-8 at offset ", invalid), allowed);
  } else if (const size_t nul = text.find('\0'); nul != std::string::npos) {
    violations.Add(field, absl::StrCat("a NUL at offset ", nul), allowed);
  } else {
    return true;
  }
  return false;
}

// One text and the field that it came in.
struct Text {
  absl::string_view field;
  absl::string_view text;
};

using Tokenizers = absl::Span<const std::shared_ptr<const ClipTokenizer>>;

// Appends token ids for each of `tokenizers`. Encoders may cut at different lengths: the longest cut is told.
void Tokenize(Tokenizers tokenizers, const Text& text, std::vector<std::vector<int32_t>>& ids,
              std::vector<std::string>& warnings) {
  std::string cut;
  int max_length = 0;
  for (const auto& tokenizer : tokenizers) {
    TokenizedPrompt tokenized = tokenizer->Encode({text.text.data(), text.text.size()});
    ids.push_back(std::move(tokenized.ids));
    if (tokenized.truncated.size() <= cut.size()) continue;
    cut = std::move(tokenized.truncated);
    max_length = tokenizer->max_length();
  }
  if (!cut.empty()) {
    warnings.push_back(absl::StrCat(text.field, " is longer than the ", max_length,
                                    " tokens that the model reads; cut: ", Quoted(cut, cut.size())));
  }
  for (std::string& warning : PromptSyntaxWarnings(text.field, text.text)) warnings.push_back(std::move(warning));
}

// Of a prompt for all encoders, and if it is not empty another one for those after the first.
std::vector<std::vector<int32_t>> TokenizeBoth(const RegisteredModel& model, const Text& first, const Text& second,
                                               std::vector<std::string>& warnings) {
  const Tokenizers all = model.tokenizers;
  const size_t shared = second.text.empty() ? all.size() : 1;
  std::vector<std::vector<int32_t>> ids;
  Tokenize(all.subspan(0, shared), first, ids, warnings);
  if (shared < all.size()) Tokenize(all.subspan(shared), second, ids, warnings);
  return ids;
}

// The texts for the second encoder. What is wrong with them is added, and nothing is left of them.
void CheckSecondTexts(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const int max_bytes = context.limits.max_prompt_bytes;
  if (context.model.tokenizers.size() < 2) {
    const std::string allowed = absl::StrCat("unset, because ", context.info().id, " has one text encoder");
    if (wire.has_prompt_2()) violations.Add("prompt_2", "a text", allowed);
    if (wire.has_negative_prompt_2()) violations.Add("negative_prompt_2", "a text", allowed);
    return;
  }
  if (CheckText("prompt_2", wire.prompt_2(), max_bytes, violations)) resolved.prompt_2 = wire.prompt_2();
  if (!wire.negative_prompt_2().empty() && !wire.has_negative_prompt()) {
    violations.Add("negative_prompt_2", "a text", "unset, or beside negative_prompt, which may be empty");
  } else if (CheckText("negative_prompt_2", wire.negative_prompt_2(), max_bytes, violations)) {
    resolved.negative_prompt_2 = wire.negative_prompt_2();
  }
}

void CheckTexts(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const int max_bytes = context.limits.max_prompt_bytes;
  CheckSecondTexts(context, resolved, violations);
  if (!wire.has_prompt()) {
    violations.Add("prompt", "nothing",
                   absl::StrCat("a text, which may be empty: ", context.info().id, " is a text model"));
  } else if (CheckText("prompt", wire.prompt(), max_bytes, violations)) {
    resolved.prompt = wire.prompt();
    resolved.prompt_ids =
        TokenizeBoth(context.model, {"prompt", resolved.prompt}, {"prompt_2", resolved.prompt_2}, resolved.warnings);
  }
  resolved.negative_prompt_given = wire.has_negative_prompt();
  if (CheckText("negative_prompt", wire.negative_prompt(), max_bytes, violations)) {
    resolved.negative_prompt = wire.negative_prompt();
    resolved.negative_prompt_ids = TokenizeBoth(context.model, {"negative_prompt", resolved.negative_prompt},
                                                {"negative_prompt_2", resolved.negative_prompt_2}, resolved.warnings);
  }
  if (violations.CheckRange("clip_skip", wire.clip_skip(), 0, std::max(0, context.info().text_layers - 1),
                            "ModelLimits.max_clip_skip of GetModel")) {
    resolved.clip_skip = wire.clip_skip();
  }
}

void RefuseTexts(const RequestContext& context, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  if (wire.has_prompt()) violations.Add("prompt", "a text", context.Unset());
  if (wire.has_negative_prompt()) violations.Add("negative_prompt", "a text", context.Unset());
  if (wire.has_prompt_2()) violations.Add("prompt_2", "a text", context.Unset());
  if (wire.has_negative_prompt_2()) violations.Add("negative_prompt_2", "a text", context.Unset());
  if (wire.has_clip_skip()) violations.Add("clip_skip", absl::StrCat(wire.clip_skip()), context.Unset());
}

std::string AllowedLabels(const ModelInfo& info) {
  if (info.class_labels.empty() || info.class_labels.size() > kMaxListedLabels)
    return "one of Model.class_labels of GetModel";
  return absl::StrCat("one of ", absl::StrJoin(info.class_labels, ", ", [](std::string* out, const auto& label) {
                        absl::StrAppend(out, Quoted(label.second));
                      }));
}

void CheckClass(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const auto& labels = context.info().class_labels;
  if (wire.has_class_index()) {
    if (labels.contains(wire.class_index())) {
      resolved.class_index = wire.class_index();
      return;
    }
    violations.Add("class_index", absl::StrCat(wire.class_index()),
                   "the index of one of Model.class_labels of GetModel");
    return;
  }
  if (wire.has_class_label()) {
    const auto is_asked = [&wire](const auto& label) { return label.second == wire.class_label(); };
    const auto found = std::find_if(labels.begin(), labels.end(), is_asked);
    if (found == labels.end()) {
      violations.Add("class_label", Quoted(wire.class_label()), AllowedLabels(context.info()));
    } else if (std::any_of(std::next(found), labels.end(), is_asked)) {
      violations.Add("class_label", Quoted(wire.class_label()), "a label of one class; name this one by class_index");
    } else {
      resolved.class_index = found->first;
    }
    return;
  }
  if (!context.info().has_null_class) {
    violations.Add("class_label", "nothing", AllowedLabels(context.info()));
  }
}

void RefuseClass(const RequestContext& context, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  if (wire.has_class_index()) violations.Add("class_index", absl::StrCat(wire.class_index()), context.Unset());
  if (wire.has_class_label()) violations.Add("class_label", Quoted(wire.class_label()), context.Unset());
}

}  // namespace

std::string RequestContext::Unset() const {
  static constexpr absl::string_view kKinds[] = {"a text model", "a class-conditional model", "an unconditional model"};
  return absl::StrCat("unset, because ", info().id, " is ", kKinds[static_cast<int>(info().conditioning)]);
}

void CheckConditioning(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  if (context.info().conditioning == ConditioningKind::kText) {
    CheckTexts(context, resolved, violations);
  } else {
    RefuseTexts(context, violations);
  }
  if (context.info().conditioning == ConditioningKind::kClassLabel) {
    CheckClass(context, resolved, violations);
  } else {
    RefuseClass(context, violations);
  }
}

}  // namespace stepcast

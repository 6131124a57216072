#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/request/prompt_syntax.h"
#include "server/request/request_checks.h"
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

// Token ids for each text encoder. Encoders may cut at different lengths: the longest cut is told.
std::vector<std::vector<int32_t>> Tokenize(const RegisteredModel& model, absl::string_view field,
                                           absl::string_view text, std::vector<std::string>& warnings) {
  std::vector<std::vector<int32_t>> ids;
  std::string cut;
  int max_length = 0;
  for (const auto& tokenizer : model.tokenizers) {
    TokenizedPrompt tokenized = tokenizer->Encode({text.data(), text.size()});
    ids.push_back(std::move(tokenized.ids));
    if (tokenized.truncated.size() <= cut.size()) continue;
    cut = std::move(tokenized.truncated);
    max_length = tokenizer->max_length();
  }
  if (!cut.empty()) {
    warnings.push_back(absl::StrCat(field, " is longer than the ", max_length,
                                    " tokens that the model reads; cut: ", Quoted(cut, cut.size())));
  }
  for (std::string& warning : PromptSyntaxWarnings(field, text)) warnings.push_back(std::move(warning));
  return ids;
}

void CheckTexts(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const int max_bytes = context.limits.max_prompt_bytes;
  if (!wire.has_prompt()) {
    violations.Add("prompt", "nothing",
                   absl::StrCat("a text, which may be empty: ", context.info().id, " is a text model"));
  } else if (CheckText("prompt", wire.prompt(), max_bytes, violations)) {
    resolved.prompt = wire.prompt();
    resolved.prompt_ids = Tokenize(context.model, "prompt", wire.prompt(), resolved.warnings);
  }
  resolved.negative_prompt_given = wire.has_negative_prompt();
  if (CheckText("negative_prompt", wire.negative_prompt(), max_bytes, violations)) {
    resolved.negative_prompt = wire.negative_prompt();
    resolved.negative_prompt_ids =
        Tokenize(context.model, "negative_prompt", wire.negative_prompt(), resolved.warnings);
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

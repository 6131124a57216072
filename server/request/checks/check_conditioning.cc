#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/request/checks/prompt_reader.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"
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

void CheckSyntax(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::PromptSyntax asked = context.wire.prompt_syntax();
  if (asked == v1::PROMPT_SYNTAX_UNSPECIFIED) return;
  if (const std::optional<PromptSyntax> syntax = FromProto(asked); syntax.has_value()) {
    resolved.prompt_syntax = *syntax;
  } else {
    violations.Add("prompt_syntax", absl::StrCat(static_cast<int>(asked)),
                   "PROMPT_SYNTAX_PLAIN, PROMPT_SYNTAX_A1111 or PROMPT_SYNTAX_A1111_NO_NORM");
  }
}

// Models that are told the scale do without the row that several prompts are weighed against.
void CheckParts(const RequestContext& context, const ReadPrompt& read, FieldViolations& violations) {
  const bool whole = read.parts.empty() || (read.parts.size() == 1 && read.parts.front().weight == 1.0);
  if (whole || !context.info().noise_schedule.embeds_guidance) return;
  violations.Add("prompt",
                 absl::StrCat(read.parts.size(), read.parts.size() == 1 ? " part" : " parts", " with weights"),
                 absl::StrCat("one without, because ", context.info().id, " is told its guidance_scale"));
}

void Tell(ReadPrompt& read, bool given, GenerationRequest& resolved) {
  std::move(read.warnings.begin(), read.warnings.end(), std::back_inserter(resolved.warnings));
  if (given) std::move(read.lengths.begin(), read.lengths.end(), std::back_inserter(resolved.prompt_lengths));
}

void CheckTexts(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  const int max_bytes = context.limits.max_prompt_bytes;
  CheckSyntax(context, resolved, violations);
  CheckSecondTexts(context, resolved, violations);
  const PromptReader reader(context.model, resolved.prompt_syntax, context.limits.max_prompt_chunks,
                            context.adapters == nullptr ? nullptr : context.adapters->WordsOf(context.model));
  if (!wire.has_prompt()) {
    violations.Add("prompt", "nothing",
                   absl::StrCat("a text, which may be empty: ", context.info().id, " is a text model"));
  } else if (CheckText("prompt", wire.prompt(), max_bytes, violations)) {
    resolved.prompt = wire.prompt();
    ReadPrompt read =
        reader.Read({"prompt", resolved.prompt, "prompt_2", resolved.prompt_2}, /*positive=*/true, violations);
    CheckParts(context, read, violations);
    Tell(read, true, resolved);
    resolved.prompt_parts = std::move(read.parts);
  }
  resolved.negative_prompt_given = wire.has_negative_prompt();
  if (CheckText("negative_prompt", wire.negative_prompt(), max_bytes, violations)) {
    resolved.negative_prompt = wire.negative_prompt();
    ReadPrompt read =
        reader.Read({"negative_prompt", resolved.negative_prompt, "negative_prompt_2", resolved.negative_prompt_2},
                    /*positive=*/false, violations);
    Tell(read, resolved.negative_prompt_given, resolved);
    if (!read.parts.empty()) resolved.negative_tokens = std::move(read.parts.front().tokens);
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
  if (wire.prompt_syntax() != v1::PROMPT_SYNTAX_UNSPECIFIED) {
    violations.Add("prompt_syntax", EnumName(v1::PromptSyntax_Name(wire.prompt_syntax()), wire.prompt_syntax()),
                   context.Unset());
  }
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

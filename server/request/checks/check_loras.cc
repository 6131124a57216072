// LoRAs that a request is painted with.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/request/checks/lora_checks.h"
#include "server/request/errors/status_mapping.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr double kMaxScale = 4.0;

// One entry of `loras`.
class EntryCheck {
 public:
  EntryCheck(const RequestContext& context, int index, FieldViolations& violations)
      : context_(context), wire_(context.wire.loras(index)), index_(index), violations_(violations) {}

  void Run(GenerationRequest& resolved) {
    LoraInput input{.name = wire_.name()};
    const auto same = [this](const LoraInput& other) { return other.name == wire_.name(); };
    if (std::any_of(resolved.loras.begin(), resolved.loras.end(), same)) {
      violations_.Add(Field("name"), Quoted(wire_.name()), "each LoRA once");
    }
    const SharedLoraInfo lora = context_.loras->Find(wire_.name());
    if (lora == nullptr) {  // it has gone since FindLoras saw it
      return violations_.Add(Field("name"), Quoted(wire_.name()), "one that is there, see ListAdapters");
    }
    if (wire_.has_scale() && violations_.CheckReal(Field("scale"), wire_.scale(), -kMaxScale, kMaxScale)) {
      input.scale = wire_.scale();
    }
    input.text_scale = input.scale;
    if (wire_.has_text_scale()) CheckTextScale(*lora, input);
    const absl::StatusOr<LoraFit> fit = context_.loras->Fit(lora, resolved.model);
    if (!fit.ok()) {
      violations_.Add(Field("name"), Quoted(wire_.name()),
                      absl::StrCat("one that goes with ", context_.info().id, ", see ListAdapters (this one ",
                                   fit.status().message(), ")"));
    } else {
      input.cost = fit->cost;
    }
    input.sha256 = lora->sha256;
    input.changes_denoiser = lora->changes_denoiser;
    input.changes_text_encoders = lora->changes_text_encoders;
    input.info = lora;
    resolved.loras.push_back(std::move(input));
  }

 private:
  std::string Field(absl::string_view name) const { return absl::StrCat("loras[", index_, "].", name); }

  void CheckTextScale(const LoraInfo& lora, LoraInput& input) {
    if (!lora.changes_text_encoders) {
      violations_.Add(Field("text_scale"), absl::StrCat(wire_.text_scale()),
                      absl::StrCat("unset (", lora.name, " changes no text encoder)"));
    } else if (violations_.CheckReal(Field("text_scale"), wire_.text_scale(), -kMaxScale, kMaxScale)) {
      input.text_scale = wire_.text_scale();
    }
  }

  const RequestContext& context_;
  const v1::LoraInput& wire_;
  const int index_;
  FieldViolations& violations_;
};

}  // namespace

absl::Status FindLoras(const v1::GenerateRequest& wire, const RegisteredModel& model, const LoraCatalog* loras) {
  for (const v1::LoraInput& each : wire.loras()) {
    if (loras == nullptr || !IsAdapterName(each.name()) || loras->Find(each.name()) != nullptr) continue;
    const std::string available = loras->NamesFor(model.info);
    return MakeError({.reason = v1::ERROR_REASON_LORA_NOT_FOUND,
                      .message = absl::StrCat("loras: got ", Quoted(each.name()), "; available for ", model.info->id,
                                              ": ", available.empty() ? "none" : available, ", see ListAdapters"),
                      .metadata = {{"lora", each.name()}, {"available", available}}});
  }
  return absl::OkStatus();
}

SharedModelInfo WithLoraDefaults(const v1::GenerateRequest& wire, const RegisteredModel& model,
                                 const LoraCatalog* loras) {
  if (loras == nullptr || wire.loras().empty()) return model.info;
  const SharedLoraInfo lora = loras->Find(wire.loras(0).name());
  if (lora == nullptr) return model.info;
  const absl::StatusOr<LoraFit> fit = loras->Fit(lora, model.info);
  if (!fit.ok() || model.FindSampler(fit->defaults.sampler) == nullptr) return model.info;
  auto with = std::make_shared<ModelInfo>(*model.info);
  with->defaults = fit->defaults;
  return with;
}

void CheckLoras(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const int count = context.wire.loras_size();
  if (count == 0) return;
  if (context.loras == nullptr || context.info().lora_targets == nullptr) {
    violations.Add("loras", absl::StrCat(count, count == 1 ? " entry" : " entries"),
                   context.loras == nullptr ? "unset (this server has no LoRAs)"
                                            : absl::StrCat("unset (no LoRA goes with ", context.info().id, ")"));
    return;
  }
  if (count > context.limits.max_loras) {
    violations.Add("loras", absl::StrCat(count, " entries"),
                   absl::StrCat("at most ", context.limits.max_loras, ", see ServerLimits.max_loras of GetServerInfo"));
    return;
  }
  for (int i = 0; i < count; ++i) {
    if (!IsAdapterName(context.wire.loras(i).name())) {
      violations.Add(absl::StrCat("loras[", i, "].name"), Quoted(context.wire.loras(i).name()), kAdapterNames);
    } else {
      EntryCheck(context, i, violations).Run(resolved);
    }
  }
}

}  // namespace stepcast

#include "server/catalog/model_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "sampling/compile/usable.h"
#include "server/wire/names.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

absl::Status InModel(const ModelInfo& model, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("model ", model.id, ": ", status.message()));
}

// Numbers that the validator divides by and compares with.
absl::Status CheckLimits(const ModelInfo& info) {
  const ModelLimits& limits = info.limits;
  const bool sane = limits.size_multiple >= 1 && limits.min_side >= 1 && limits.max_side >= limits.min_side &&
                    limits.max_area >= 1 && limits.max_steps >= 1 && info.vae_scale_factor >= 1;
  return sane ? absl::OkStatus() : absl::InternalError("its limits allow no picture");
}

// "DDIM, EULER": what the defaults of `model` could be.
std::string SamplersOf(const RegisteredModel& model) {
  return absl::StrJoin(model.samplers, ", ", [](std::string* out, const SamplerSupport& support) {
    absl::StrAppend(out, std::string(SamplerName(support.sampler)));
  });
}

// What a request that names nothing but the model asks of its sampler. A list stands for spacing and schedule.
sampling::SamplerSpec SpecOfDefaults(const ModelDefaults& defaults) {
  const bool listed = !defaults.timesteps.empty() || !defaults.sigmas.empty();
  sampling::SamplerSpec spec;
  spec.sampler = defaults.sampler;
  spec.steps = defaults.steps;
  spec.sigma_schedule = listed ? SigmaSchedule::kDefault : defaults.sigma_schedule;
  if (!listed) spec.timestep_spacing = defaults.timestep_spacing;
  spec.timesteps = defaults.timesteps;
  spec.sigmas = defaults.sigmas;
  spec.eta = defaults.eta;
  spec.guidance_scale = defaults.guidance_scale;
  return spec;
}

// A request that names nothing but the model must succeed. Says why it would not, and what to do.
absl::Status CheckDefaults(const RegisteredModel& model) {
  const ModelInfo& info = *model.info;
  const ModelDefaults& defaults = info.defaults;
  const absl::Status usable = sampling::CheckUsable(info, SpecOfDefaults(defaults));
  const bool listed = model.FindSampler(defaults.sampler) != nullptr;
  if (usable.ok() && listed) return absl::OkStatus();
  const std::string name(SamplerName(defaults.sampler));
  const absl::string_view why = usable.ok() ? "it is not among the samplers that it can use" : usable.message();
  if (model.samplers.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no sampler can paint with its scheduler_config.json; its default ", name, ": ", why));
  }
  const std::string remedy = listed
                                 ? "set the defaults in its model.json to what it takes, or name another sampler there"
                                 : "mend scheduler_config.json, or name another sampler in its model.json";
  return absl::InvalidArgumentError(absl::StrCat("its default sampler ", name, " cannot paint in ", defaults.steps,
                                                 " steps: ", why, "; ", remedy,
                                                 ", {\"defaults\": {\"sampler\": ...}}: ", SamplersOf(model)));
}

// Else a prompt could name a row of the embedding that is not there, and fail after it was accepted.
absl::Status CheckTokenizer(const ModelInfo& info, const ClipTokenizer& tokenizer) {
  if (tokenizer.max_id() >= info.text_vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat("its tokenizer gives ids up to ", tokenizer.max_id(),
                                                   ", its text encoder knows ", info.text_vocab_size,
                                                   " (vocab_size): the two folders are not of one model"));
  }
  if (tokenizer.max_length() > info.text_max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("its tokenizer gives ", tokenizer.max_length(),
                                                   " tokens per prompt (model_max_length), its text encoder reads ",
                                                   info.text_max_tokens, " (max_position_embeddings)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RegisteredModel> ModelRegistry::Register(SharedModelInfo info, const TokenizerLoader& load) {
  RegisteredModel model{.info = std::move(info)};
  if (!IsModelId(model.info->id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model id ", Quoted(model.info->id), " is none: ids match [a-z0-9][a-z0-9._-]{0,62}"));
  }
  for (const std::string& dir : model.info->tokenizer_dirs) {
    auto tokenizer = load(dir);
    if (!tokenizer.ok()) return InModel(*model.info, tokenizer.status());
    const absl::Status fits = CheckTokenizer(*model.info, **tokenizer);
    if (!fits.ok()) return InModel(*model.info, fits);
    // The denoiser reads the texts of all encoders side by side, token by token.
    const bool side_by_side = model.info->size_conditioning != SizeConditioning::kNone && !model.tokenizers.empty();
    if (side_by_side && model.tokenizers.front()->max_length() != (*tokenizer)->max_length()) {
      return InModel(*model.info, absl::InvalidArgumentError(absl::StrCat(
                                      "its tokenizers give ", model.tokenizers.front()->max_length(), " and ",
                                      (*tokenizer)->max_length(), " tokens per prompt (model_max_length); both must ",
                                      "give as many")));
    }
    model.tokenizers.push_back(*std::move(tokenizer));
  }
  if ((model.info->conditioning == ConditioningKind::kText) == model.tokenizers.empty()) {
    return InModel(*model.info, absl::InvalidArgumentError("a text model needs a tokenizer, and only a text model"));
  }
  model.samplers = ProbeSamplers(*model.info);
  for (const absl::Status& status : {CheckLimits(*model.info), CheckDefaults(model)}) {
    if (!status.ok()) return InModel(*model.info, status);
  }
  return model;
}

const SamplerSupport* RegisteredModel::FindSampler(Sampler sampler) const {
  const auto found = std::find_if(samplers.begin(), samplers.end(),
                                  [sampler](const SamplerSupport& support) { return support.sampler == sampler; });
  return found == samplers.end() ? nullptr : &*found;
}

absl::StatusOr<ModelRegistry> ModelRegistry::Create(std::vector<SharedModelInfo> models, std::string_view default_model,
                                                    const TokenizerLoader& load_tokenizer) {
  if (models.empty()) return absl::InvalidArgumentError("no model is loaded");
  ModelRegistry registry;
  bool default_known = default_model.empty();
  for (const SharedModelInfo& info : models) {
    const std::string id = info->id;
    const auto same_id = [&id](const SharedModelInfo& other) { return other->id == id; };
    if (std::count_if(models.begin(), models.end(), same_id) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("two models have the id ", id));
    }
    default_known |= id == default_model;
    absl::StatusOr<RegisteredModel> model = Register(info, load_tokenizer);
    if (model.ok()) {
      registry.models_.push_back(*std::move(model));
    } else {
      registry.refused_.push_back({id, std::string(model.status().message())});
    }
  }
  STEPCAST_RETURN_IF_ERROR(registry.CheckNotEmpty());
  if (!default_known) {
    return absl::InvalidArgumentError(
        absl::StrCat("default_model ", Quoted(std::string(default_model)), " is not loaded; loaded: ", registry.Ids()));
  }
  if (const RegisteredModel* const found = registry.Find(default_model); found != nullptr) {
    const auto position = registry.models_.begin() + (found - registry.models_.data());
    std::rotate(registry.models_.begin(), position, position + 1);
  }
  return registry;
}

ModelRegistry ModelRegistry::Replace(RegisteredModel model) const {
  ModelRegistry registry = *this;
  for (RegisteredModel& old : registry.models_) {
    if (old.info->id == model.info->id) old = model;
  }
  return registry;
}

absl::Status ModelRegistry::LeaveOut(RefusedModel model) {
  std::erase_if(models_, [&](const RegisteredModel& registered) { return registered.info->id == model.id; });
  refused_.push_back(std::move(model));
  return CheckNotEmpty();
}

absl::Status ModelRegistry::CheckNotEmpty() const {
  if (!models_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(
      refused_, "\n", [](std::string* out, const RefusedModel& model) { absl::StrAppend(out, model.why); }));
}

const RegisteredModel* ModelRegistry::Find(std::string_view id) const {
  if (id.empty()) return &models_.front();
  const auto found =
      std::find_if(models_.begin(), models_.end(), [id](const RegisteredModel& model) { return model.info->id == id; });
  return found == models_.end() ? nullptr : &*found;
}

std::string ModelRegistry::Ids() const {
  return absl::StrJoin(models_, ", ",
                       [](std::string* out, const RegisteredModel& model) { absl::StrAppend(out, model.info->id); });
}

}  // namespace stepcast

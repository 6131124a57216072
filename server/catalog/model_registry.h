#pragma once
// The loaded models, as requests name them.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/model_info.h"
#include "engine/start/engine_factory.h"
#include "server/catalog/sampler_support.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

// One model and what the server needs to validate requests for it.
struct RegisteredModel {
  SharedModelInfo info;
  std::vector<std::shared_ptr<const ClipTokenizer>> tokenizers = {};  // one per text encoder; empty without text
  std::vector<SamplerSupport> samplers = {};                          // those of info->samplers, in that order

  // Support of `sampler`; null when the model does not take it.
  const SamplerSupport* FindSampler(Sampler sampler) const;
};

// Immutable once made and cleared of misfits.
//
// Thread-safety: const methods may be called from any thread.
class ModelRegistry {
 public:
  using TokenizerLoader = std::function<absl::StatusOr<std::unique_ptr<const ClipTokenizer>>(const std::string& dir)>;

  // `default_model` "" means the first of `models`. Loads the tokenizers that the models name. Models with an id that
  // is none, without a usable tokenizer, or with defaults that no sampling program can be made of are refused(), and
  // the others go on; where the default is one of them, the first of the others stands in. Errors: INVALID_ARGUMENT for
  // no model that is left, one line with each reason; for two with one id, and for a default that is not among
  // `models`.
  static absl::StatusOr<ModelRegistry> Create(std::vector<SharedModelInfo> models, std::string_view default_model,
                                              const TokenizerLoader& load_tokenizer = &ClipTokenizer::Load);

  // What Create makes of one model; errors as there.
  static absl::StatusOr<RegisteredModel> Register(SharedModelInfo info,
                                                  const TokenizerLoader& load_tokenizer = &ClipTokenizer::Load);

  // The same with `model` in the place of the one of its id. REQUIRES: there is one.
  ModelRegistry Replace(RegisteredModel model) const;

  // The model named `id`, or the default model for ""; null when there is none.
  const RegisteredModel* Find(std::string_view id) const;

  const RegisteredModel& default_model() const { return models_.front(); }

  // All models: the default first, then in the operator's order.
  absl::Span<const RegisteredModel> models() const { return models_; }

  // Those that were left out, with the reason.
  const std::vector<RefusedModel>& refused() const { return refused_; }

  // Adds one of the models to refused(). Errors: INVALID_ARGUMENT when it was the last, one line with each reason.
  // REQUIRES: it is here, and nobody holds what Find has returned.
  absl::Status LeaveOut(RefusedModel model);

  // "emoji, digits": for messages.
  std::string Ids() const;

 private:
  ModelRegistry() = default;
  absl::Status CheckNotEmpty() const;

  std::vector<RegisteredModel> models_;  // a handful: looked up linearly
  std::vector<RefusedModel> refused_;
};

}  // namespace stepcast

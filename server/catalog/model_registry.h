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
#include "server/catalog/sampler_support.h"
#include "text/clip_tokenizer.h"

namespace stepcast {

// One model and what the server needs to validate requests for it.
struct RegisteredModel {
  SharedModelInfo info;
  std::vector<std::shared_ptr<const ClipTokenizer>> tokenizers = {};  // one per text encoder; empty without text
  std::vector<SamplerSupport> samplers = {};                          // those of info->samplers, in that order

  // Support of `sampler`; null when the model does not take it.
  const SamplerSupport* FindSampler(Sampler sampler) const;
};

// Immutable once made.
//
// Thread-safety: const methods may be called from any thread.
class ModelRegistry {
 public:
  using TokenizerLoader = std::function<absl::StatusOr<std::unique_ptr<const ClipTokenizer>>(const std::string& dir)>;

  // `default_model` "" means the first of `models`. Loads the tokenizers that the models name.
  // Errors: INVALID_ARGUMENT for no models, two with one id, an id that is none, a default that is not among them,
  // defaults that no sampling program can be made of; the loader's errors, with the model named.
  static absl::StatusOr<ModelRegistry> Create(std::vector<SharedModelInfo> models, std::string_view default_model,
                                              const TokenizerLoader& load_tokenizer = &ClipTokenizer::Load);

  // The model named `id`, or the default model for ""; null when there is none.
  const RegisteredModel* Find(std::string_view id) const;

  const RegisteredModel& default_model() const { return models_.front(); }

  // All models: the default first, then in the operator's order.
  absl::Span<const RegisteredModel> models() const { return models_; }

  // "emoji, digits": for messages.
  std::string Ids() const;

 private:
  explicit ModelRegistry(std::vector<RegisteredModel> models) : models_(std::move(models)) {}

  std::vector<RegisteredModel> models_;  // a handful: looked up linearly
};

}  // namespace stepcast

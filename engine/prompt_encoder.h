#pragma once
// Turns what jobs are to show, prompts or classes, into the conditioning of their rows, through the cache.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/generation_request.h"
#include "engine/denoise_state.h"
#include "engine/embedding_cache.h"
#include "engine/torch_guard.h"

namespace stepcast::engine {

// What a job needs encoded.
struct PromptJob {
  const GenerationRequest* request = nullptr;
  DenoiseState* state = nullptr;
};

// A class is at hand at once: its jobs never need an encode tick, and their "negative prompt" is the null class.
// Positive and negative prompts are separate entries of the cache: the negative prompt of one request is often
// that of all others. clip_skip applies to the positive prompt alone, as in diffusers.
//
// Thread-safety: none; owned by one executor.
class PromptEncoder {
 public:
  // All must outlive the encoder. `alone`: one prompt per forward, so that embeddings do not depend on their company.
  PromptEncoder(EmbeddingCache& cache, const TorchGuard& guard, bool alone = false)
      : cache_(cache), guard_(guard), alone_(alone) {}

  // Pins what the cache already has. Returns whether the job still needs an encode tick.
  // Errors: INVALID_ARGUMENT for token ids outside the vocabulary, a guided job without a negative prompt, a class that
  // the model does not have.
  absl::StatusOr<bool> Start(const PromptJob& job);

  // Encodes what the jobs still miss, every distinct prompt once, batched. Returns one status per job; a prompt
  // that fails alone fails only the jobs that use it. REQUIRES: all jobs use the same bundle.
  std::vector<absl::Status> Encode(absl::Span<const PromptJob> jobs);

 private:
  struct Task {
    PromptKey key;
    SharedEmbedding embedding;
    absl::Status status;
  };

  // For models whose conditioner runs no network.
  absl::Status StartAtOnce(const PromptJob& job);
  SharedEmbedding AtOnce(const model::ModelBundle& bundle, const PromptKey& key);
  void EncodeTasks(const model::ModelBundle& bundle, absl::Span<Task* const> tasks);

  EmbeddingCache& cache_;
  const TorchGuard& guard_;
  const bool alone_;
};

}  // namespace stepcast::engine

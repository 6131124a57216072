#pragma once
// Turns the prompts of jobs into embeddings, through the cache.

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

// Positive and negative prompts are separate entries of the cache: the negative prompt of one request is often
// that of all others. clip_skip applies to the positive prompt alone, as in diffusers.
//
// Thread-safety: none; owned by one executor.
class PromptEncoder {
 public:
  // All must outlive the encoder.
  PromptEncoder(EmbeddingCache& cache, const TorchGuard& guard) : cache_(cache), guard_(guard) {}

  // Pins what the cache already has. Returns whether the job still needs an encode tick.
  // Errors: INVALID_ARGUMENT for token ids outside the vocabulary, or a guided job without a negative prompt.
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

  void EncodeTasks(const model::ModelBundle& bundle, absl::Span<Task* const> tasks);

  EmbeddingCache& cache_;
  const TorchGuard& guard_;
};

}  // namespace stepcast::engine

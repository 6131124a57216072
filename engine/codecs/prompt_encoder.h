#pragma once
// Turns what jobs are to show, prompts or classes, into the conditioning of their rows, through the cache.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "engine/device/torch_guard.h"
#include "engine/job/denoise_state.h"
#include "engine/job/embedding_cache.h"

namespace stepcast::engine {

// A class is at hand at once: its jobs never need an encode tick, and what they are guided away from is the null class.
// Every conditioning is an entry of the cache by itself: the negative prompt of one request is often that of all
// others.
//
// Thread-safety: none; owned by one executor.
class PromptEncoder {
 public:
  // All must outlive the encoder. `alone`: one prompt per forward, so that embeddings do not depend on their company.
  PromptEncoder(EmbeddingCache& cache, const TorchGuard& guard, bool alone = false)
      : cache_(cache), guard_(guard), alone_(alone) {}

  // Pins what the cache already has of what the job's rows show. Returns whether it still needs an encode tick.
  // Errors: INVALID_ARGUMENT for token ids outside the vocabulary, a prompt without any, a class that the model does
  // not have.
  absl::StatusOr<bool> Start(DenoiseState& job);

  // Encodes what the jobs still miss, every distinct prompt once, batched. Returns one status per job; a prompt
  // that fails alone fails only the jobs that use it. REQUIRES: all jobs use the same bundle.
  std::vector<absl::Status> Encode(absl::Span<DenoiseState* const> jobs);

 private:
  struct Task {
    PromptKey key;
    SharedEmbedding embedding;
    absl::Status status;
  };

  // For models whose conditioner runs no network.
  absl::Status StartAtOnce(DenoiseState& job);
  SharedEmbedding AtOnce(const model::ModelBundle& bundle, const PromptKey& key);
  void EncodeTasks(const model::ModelBundle& bundle, absl::Span<Task* const> tasks);

  EmbeddingCache& cache_;
  const TorchGuard& guard_;
  const bool alone_;
};

}  // namespace stepcast::engine

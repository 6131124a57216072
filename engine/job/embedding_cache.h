#pragma once
// Encoded prompts, kept for the next request that asks for the same.

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "core/metrics.h"
#include "model/conditioner.h"

namespace stepcast::engine {

// What an embedding depends on. Compared in full: a hash alone could show one client another's prompt.
struct PromptKey {
  std::string model;  // identity of the loaded weights
  model::ConditioningInput input;

  friend bool operator==(const PromptKey&, const PromptKey&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const PromptKey& key) {
    return H::combine(std::move(h), key.model, key.input);
  }
};

// One encoded prompt: conditioning of a single row, on the device.
struct Embedding {
  int64_t id = 0;  // unique within the process; tells rows of a batch apart
  model::Conditioning conditioning;
};

// Shared by the cache and by the jobs that pinned it; an evicted embedding lives as long as its jobs.
using SharedEmbedding = std::shared_ptr<const Embedding>;

// Least-recently-used cache of embeddings.
//
// Thread-safety: none; owned by one executor.
class EmbeddingCache {
 public:
  // Keeps at most `capacity` embeddings, 0: none. `metrics` must outlive the cache.
  EmbeddingCache(size_t capacity, EngineMetrics& metrics);

  // Looks `key` up for a job that starts and counts the hit or miss; null when absent.
  SharedEmbedding Find(const PromptKey& key);

  // The same without counting: for a job whose miss was counted when it started.
  SharedEmbedding Peek(const PromptKey& key);

  // Wraps `conditioning` (one row) and keeps it as the most recent entry.
  SharedEmbedding Insert(const PromptKey& key, model::Conditioning conditioning);

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    PromptKey key;
    SharedEmbedding embedding;
  };
  // Keys live once, in the list; the index refers to them.
  struct HashKey {
    size_t operator()(const PromptKey* key) const { return absl::HashOf(*key); }
  };
  struct EqualKey {
    bool operator()(const PromptKey* a, const PromptKey* b) const { return *a == *b; }
  };

  const size_t capacity_;
  EngineMetrics& metrics_;
  int64_t next_id_ = 1;
  std::list<Entry> recency_;  // most recent first
  absl::flat_hash_map<const PromptKey*, std::list<Entry>::iterator, HashKey, EqualKey> entries_;
};

}  // namespace stepcast::engine

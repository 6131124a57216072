#include "engine/job/embedding_cache.h"

namespace stepcast::engine {

EmbeddingCache::EmbeddingCache(size_t capacity, EngineMetrics& metrics) : capacity_(capacity), metrics_(metrics) {}

SharedEmbedding EmbeddingCache::Find(const PromptKey& key) {
  SharedEmbedding embedding = Peek(key);
  metrics_.CountEmbeddingLookup(embedding != nullptr);
  return embedding;
}

SharedEmbedding EmbeddingCache::Peek(const PromptKey& key) {
  const auto it = entries_.find(&key);
  if (it == entries_.end()) return nullptr;
  recency_.splice(recency_.begin(), recency_, it->second);
  return it->second->embedding;
}

SharedEmbedding EmbeddingCache::Insert(const PromptKey& key, model::Conditioning conditioning) {
  auto embedding = std::make_shared<const Embedding>(Embedding{next_id_++, std::move(conditioning)});
  if (capacity_ == 0) return embedding;
  if (const auto it = entries_.find(&key); it != entries_.end()) {
    it->second->embedding = embedding;
    recency_.splice(recency_.begin(), recency_, it->second);
    return embedding;
  }
  recency_.push_front({key, embedding});
  entries_.emplace(&recency_.front().key, recency_.begin());
  if (recency_.size() > capacity_) {
    entries_.erase(&recency_.back().key);
    recency_.pop_back();
  }
  return embedding;
}

}  // namespace stepcast::engine

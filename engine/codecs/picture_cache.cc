#include "engine/codecs/picture_cache.h"

#include <memory>

namespace stepcast::engine {
namespace {

bool SameMask(const SharedMask& a, const SharedMask& b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->width == b->width && a->height == b->height && a->values == b->values;
}

int64_t BytesOf(const at::Tensor& tensor) { return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0; }

}  // namespace

bool operator==(const PictureKey& a, const PictureKey& b) {
  return !a.sha256.empty() && a.network == b.network && a.sha256 == b.sha256 && a.tiled == b.tiled &&
         SameMask(a.erased, b.erased);
}

SharedEncodedPicture PictureCache::Find(const PictureKey& key) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return nullptr;
  recency_.splice(recency_.begin(), recency_, entry->second);
  return entry->second->picture;
}

SharedEncodedPicture PictureCache::Insert(const PictureKey& key, EncodedPicture encoded) {
  const int64_t bytes = BytesOf(encoded.mean) + BytesOf(encoded.deviation);
  auto picture = std::make_shared<const EncodedPicture>(std::move(encoded));
  if (key.sha256.empty() || bytes > max_bytes_ || entries_.contains(key)) return picture;
  recency_.push_front({key, picture, bytes});
  entries_.emplace(key, recency_.begin());
  bytes_ += bytes;
  while (bytes_ > max_bytes_) {
    bytes_ -= recency_.back().bytes;
    entries_.erase(recency_.back().key);
    recency_.pop_back();
  }
  return picture;
}

}  // namespace stepcast::engine

#pragma once
// Encoded pictures, kept for the next request with the same.

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "core/input_picture.h"
#include "engine/job/encoded_picture.h"

namespace stepcast::engine {

// What an encoded picture depends on. Masks are compared in full.
struct PictureKey {
  std::string network;  // identity of the weights
  std::string sha256;   // of the picture; "": not known, equal to none
  SharedMask erased = nullptr;
  bool tiled = false;

  friend bool operator==(const PictureKey& a, const PictureKey& b);

  template <typename H>
  friend H AbslHashValue(H h, const PictureKey& key) {
    if (key.erased != nullptr) h = H::combine(std::move(h), key.erased->values);
    return H::combine(std::move(h), key.network, key.sha256, key.tiled);
  }
};

// Least-recently-used cache, bounded by bytes.
//
// Thread-safety: none; owned by one executor.
class PictureCache {
 public:
  // 0: keeps nothing.
  explicit PictureCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  SharedEncodedPicture Find(const PictureKey& key);  // null when absent

  // Keeps `encoded` as the most recent entry, if it fits at all.
  SharedEncodedPicture Insert(const PictureKey& key, EncodedPicture encoded);

  int64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    PictureKey key;
    SharedEncodedPicture picture;
    int64_t bytes = 0;
  };

  const int64_t max_bytes_;
  int64_t bytes_ = 0;
  std::list<Entry> recency_;  // most recent first
  absl::flat_hash_map<PictureKey, std::list<Entry>::iterator> entries_;
};

}  // namespace stepcast::engine

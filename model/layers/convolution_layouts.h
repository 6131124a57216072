#pragma once
// The layouts of packed convolution weights for sizes other than the usual one.
//
// oneDNN chooses a weight's layout by the size of the input. Most sizes share one layout on AVX-512; on AVX2 many ask
// for their own, and a weight in the wrong one may be a hundred times slower. So for each new size the wanted layout is
// worked out once per kind of convolution: where it is the packed one, nothing more is kept; where it is not, the
// weight is repacked (packed layout -> wanted layout; there is no plain copy) and kept while there is room.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"
#include "model/layers/packed_convolution.h"

namespace stepcast::model {

// Shared by the convolutions of one model. What a convolution computes does not depend on what is kept: a layout that
// found no room is made for the one call and is the same. Only the time differs.
//
// Thread-safety: all methods may be called from any thread; engine replicas share a model.
class ConvolutionLayouts {
 public:
  // `budget`: bytes of layouts kept beside the packed weights; nullopt: a fifth of what is packed. `notice` is told,
  // once, when there is no room; it may be empty.
  explicit ConvolutionLayouts(std::optional<int64_t> budget = std::nullopt,
                              std::function<void(const std::string&)> notice = {})
      : budget_(budget), notice_(std::move(notice)) {}

  // Counts a weight that is packed for its usual size.
  void Register(const at::Tensor& packed);

  // The weight for inputs of `size`. REQUIRES: `packed` is from PackConvolution with `geometry`, and registered.
  at::Tensor For(const at::Tensor& packed, const ConvGeometry& geometry, SpatialSize size);

  int64_t kept_bytes() const;

 private:
  // Convolutions that oneDNN treats alike, and an input size.
  using Kind = std::vector<int64_t>;
  using Key = std::pair<const void*, std::pair<int64_t, int64_t>>;  // weight, size

  struct Kept {
    Key key;
    at::Tensor weight;
    int64_t bytes = 0;
    int64_t last_use = 0;
  };

  int64_t Budget() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Keep(const Key& key, const at::Tensor& weight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MakeRoom(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::optional<int64_t> budget_;
  const std::function<void(const std::string&)> notice_;
  mutable Mutex mutex_;
  int64_t registered_ ABSL_GUARDED_BY(mutex_) = 0;    // weights
  int64_t packed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of them
  int64_t kept_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;  // counts calls of For that needed another layout
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<Kind, bool> fits_ ABSL_GUARDED_BY(mutex_);  // whether the packed layout is the wanted one
  std::list<Kept> kept_ ABSL_GUARDED_BY(mutex_);       // the latest used first
  std::map<Key, std::list<Kept>::iterator> index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast::model

#include "model/layers/convolution_layouts.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/equal.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace stepcast::model {
namespace {

constexpr int64_t kShareOfWeights = 5;  // a fifth

// Whether its bytes differ from layout to layout. Layers that start at zero may have been left there.
bool TellsLayouts(const at::Tensor& weight) {
  const auto [least, most] = at::aminmax(weight);
  return !at::equal(least, most);
}

}  // namespace

void ConvolutionLayouts::Register(const at::Tensor& packed) {
  const MutexLock lock(mutex_);
  ++registered_;
  packed_bytes_ += PackedBytes(packed);
}

int64_t ConvolutionLayouts::kept_bytes() const {
  const MutexLock lock(mutex_);
  return kept_bytes_;
}

at::Tensor ConvolutionLayouts::For(const at::Tensor& packed, const ConvGeometry& geometry, SpatialSize size) {
  const Kind kind = {static_cast<int64_t>(packed.scalar_type()),
                     packed.size(0),
                     packed.size(1),
                     geometry.kernel,
                     geometry.stride,
                     geometry.padding,
                     geometry.usual.height,
                     geometry.usual.width,
                     size.height,
                     size.width};
  const MutexLock lock(mutex_);
  auto fits = fits_.find(kind);
  if (fits != fits_.end() && fits->second) return packed;
  const Key key = {packed.unsafeGetTensorImpl(), {size.height, size.width}};
  ++uses_;
  if (const auto kept = index_.find(key); kept != index_.end()) {
    kept_.splice(kept_.begin(), kept_, kept->second);
    kept_.front().last_use = uses_;
    return kept_.front().weight;
  }
  ConvGeometry wanted = geometry;
  wanted.usual = size;
  const at::Tensor dense = packed.to_dense();
  const at::Tensor repacked = PackConvolution(dense, wanted);
  if (fits == fits_.end() && TellsLayouts(dense)) {
    fits = fits_.emplace(kind, SamePackedBytes(packed, repacked)).first;
    if (fits->second) return packed;
  }
  Keep(key, repacked);
  return repacked;
}

int64_t ConvolutionLayouts::Budget() const { return budget_.value_or(packed_bytes_ / kShareOfWeights); }

void ConvolutionLayouts::Keep(const Key& key, const at::Tensor& weight) {
  const int64_t bytes = PackedBytes(weight);
  if (!MakeRoom(bytes)) {
    if (!std::exchange(told_, true) && notice_) {
      notice_(absl::StrCat("convolution weights for input sizes other than the trained one take more than the ",
                           Budget(), " bytes of packed_bytes; some are repacked in every forward, which is slower"));
    }
    return;
  }
  kept_.push_front({.key = key, .weight = weight, .bytes = bytes, .last_use = uses_});
  index_[key] = kept_.begin();
  kept_bytes_ += bytes;
}

bool ConvolutionLayouts::MakeRoom(int64_t bytes) {
  if (bytes > Budget()) return false;
  while (kept_bytes_ + bytes > Budget()) {
    const Kept& oldest = kept_.back();
    // What the running forward, or the one before it, has used stays: else a size that needs more than there is room
    // for would drop each layout just before it is needed again.
    if (uses_ - oldest.last_use <= 2 * registered_) return false;
    kept_bytes_ -= oldest.bytes;
    index_.erase(oldest.key);
    kept_.pop_back();
  }
  return true;
}

}  // namespace stepcast::model

#pragma once
// Low-rank changes of layers (Hu et al. 2021), for some of the rows of a forward: y = W x + s B (A x), next to rows
// that have others, or none. W stays as it is.

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/types/span.h"
#include "model/layers/packed_convolution.h"

namespace stepcast::model {

// What a LoRA adds to one layer, in the layer's dtype.
struct LowRank {
  at::Tensor down;  // A: [r, in], of a convolution [r, in, k, k]
  at::Tensor up;    // B: [out, r], with alpha / r in it
};

// What a LoRA adds to one network. Immutable; shared by all rows that have it.
struct NetworkAdapter {
  std::vector<LowRank> sites;  // by the network's numbers of its layers; undefined tensors: unchanged

  bool Changes(int site) const { return sites[static_cast<size_t>(site)].down.defined(); }
};

// Neighbouring rows of a forward with one adapter at one strength.
struct AdapterRun {
  std::shared_ptr<const NetworkAdapter> adapter;
  int64_t first = 0;
  int64_t rows = 0;
  float scale = 1.0f;

  friend bool operator==(const AdapterRun&, const AdapterRun&) = default;
};

// Columns of a product that belong to one layer.
struct SiteColumns {
  int site = -1;
  int64_t begin = 0;
  int64_t width = 0;
};

// The adapters of a forward. Layers ask it to add what they owe to the rows that have one; no other row is touched.
//
// Thread-safety: none; of one forward.
class RowAdapters {
 public:
  explicit RowAdapters(std::vector<AdapterRun> runs) : runs_(std::move(runs)) {}

  const std::vector<AdapterRun>& runs() const { return runs_; }

  // Whether some row has one that changes the layer.
  bool Changes(int site) const;
  // To y [R, ..., *], whose columns `parts` are products of matrices with x [R, ..., in].
  void AddTo(absl::Span<const SiteColumns> parts, const at::Tensor& x, const at::Tensor& y) const;
  // To y [R, out, H', W'], channels last in memory, what a convolution made of x [R, in, H, W].
  void AddTo(int site, const ConvGeometry& geometry, const at::Tensor& x, const at::Tensor& y) const;

 private:
  std::vector<AdapterRun> runs_;
};

}  // namespace stepcast::model

#include "model/lora/row_adapters.h"

#include <algorithm>

#include <ATen/ops/conv2d.h>
#include <ATen/ops/mm.h>

namespace stepcast::model {
namespace {

// [n, ..., c] as [n * ..., c].
at::Tensor AsMatrix(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

}  // namespace

void RowAdapters::AddTo(absl::Span<const SiteColumns> parts, const at::Tensor& x, const at::Tensor& y) const {
  for (const AdapterRun& run : runs_) {
    for (const SiteColumns& part : parts) {
      if (!run.adapter->Changes(part.site)) continue;
      const LowRank& low = run.adapter->sites[static_cast<size_t>(part.site)];
      const at::Tensor inner = at::mm(AsMatrix(x.narrow(0, run.first, run.rows)), low.down.t());
      const at::Tensor own = y.narrow(0, run.first, run.rows).narrow(-1, part.begin, part.width);
      own.view({-1, part.width}).addmm_(inner, low.up.t(), /*beta=*/1, /*alpha=*/run.scale);
    }
  }
}

bool RowAdapters::Changes(int site) const {
  return std::ranges::any_of(runs_, [site](const AdapterRun& run) { return run.adapter->Changes(site); });
}

void RowAdapters::AddTo(int site, const ConvGeometry& geometry, const at::Tensor& x, const at::Tensor& y) const {
  for (const AdapterRun& run : runs_) {
    if (!run.adapter->Changes(site)) continue;
    const LowRank& low = run.adapter->sites[static_cast<size_t>(site)];
    const at::Tensor inner = at::conv2d(x.narrow(0, run.first, run.rows), low.down, {}, geometry.stride,
                                        geometry.padding);  // [n, r, H', W']
    const at::Tensor cells = AsMatrix(inner.permute({0, 2, 3, 1}));
    // Channels lie last in memory, so that cells are rows of a matrix.
    y.narrow(0, run.first, run.rows)
        .permute({0, 2, 3, 1})
        .view({-1, y.size(1)})
        .addmm_(cells, low.up.t(), /*beta=*/1, /*alpha=*/run.scale);
  }
}

}  // namespace stepcast::model

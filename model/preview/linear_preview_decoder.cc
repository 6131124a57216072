#include "model/preview/linear_preview_decoder.h"

#include <array>
#include <vector>

#include <ATen/ops/conv2d.h>
#include <ATen/ops/tensor.h>

namespace stepcast::model {
LinearPreviewDecoder::LinearPreviewDecoder(const PreviewMatrix& matrix, c10::Device device) {
  std::vector<double> weight;
  for (size_t colour = 0; colour < 3; ++colour) {
    for (const std::array<double, 3>& row : matrix.rows) weight.push_back(row[colour]);
  }
  weight_ = at::tensor(weight, at::kFloat).view({3, -1, 1, 1}).to(device);
  bias_ = at::tensor(std::vector<double>(matrix.bias.begin(), matrix.bias.end()), at::kFloat).to(device);
}

at::Tensor LinearPreviewDecoder::Decode(const at::Tensor& x0) const {
  // A preview is a few kilobytes: the convolution is exact, batched and runs on either device.
  return at::conv2d(x0, weight_, bias_);
}

}  // namespace stepcast::model

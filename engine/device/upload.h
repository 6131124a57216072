#pragma once
// Small host arrays as tensors on the device.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/device/device.h"

namespace stepcast::engine {

// [values.size()] float32 on the device.
inline at::Tensor UploadFloats(const ComputeDevice& device, const std::vector<float>& values) {
  const at::Tensor host = device.HostBuffer({static_cast<int64_t>(values.size())}, c10::ScalarType::Float);
  std::ranges::copy(values, host.data_ptr<float>());
  return device.Upload(host);
}

// [values.size()] int64 on the device, for index_select.
inline at::Tensor UploadIndices(const ComputeDevice& device, const std::vector<int64_t>& values) {
  const at::Tensor host = device.HostBuffer({static_cast<int64_t>(values.size())}, c10::ScalarType::Long);
  std::ranges::copy(values, host.data_ptr<int64_t>());
  return device.Upload(host);
}

}  // namespace stepcast::engine

#include "model/layers/packed_convolution.h"

#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/Scalar.h>

namespace stepcast::model {
namespace {

// torch registers these for its own compiler; there is no C++ declaration of them to include.
using ReorderWeight = at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
                                 at::OptionalIntArrayRef);
using Convolve = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, at::IntArrayRef,
                            at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view,
                            c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

constexpr char kReorder[] = "mkldnn::_reorder_convolution_weight";
constexpr char kConvolve[] = "mkldnn::_convolution_pointwise";
constexpr char kBytes[] = "mkldnn::_nbytes";
constexpr char kData[] = "mkldnn::data_ptr";
constexpr char kBf16[] = "mkldnn::_is_mkldnn_bf16_supported";
constexpr int64_t kRows = 2;  // one guided picture; the layout is the same for other counts

bool Registered(const char* name) { return c10::Dispatcher::singleton().findSchema({name, ""}).has_value(); }

bool Bf16Supported() {
  static const bool supported =
      Registered(kBf16) && c10::Dispatcher::singleton().findSchemaOrThrow(kBf16, "").typed<bool()>().call();
  return supported;
}

}  // namespace

bool CanPackConvolution(const at::Tensor& weight) {
  static const bool registered = Registered(kReorder) && Registered(kConvolve);
  if (!registered || !weight.is_cpu()) return false;
  return weight.scalar_type() == at::kFloat || (weight.scalar_type() == at::kBFloat16 && Bf16Supported());
}

at::Tensor PackConvolution(const at::Tensor& weight, const ConvGeometry& geometry) {
  static const auto reorder = c10::Dispatcher::singleton().findSchemaOrThrow(kReorder, "").typed<ReorderWeight>();
  const std::array<int64_t, 2> padding = {geometry.padding, geometry.padding};
  const std::array<int64_t, 2> stride = {geometry.stride, geometry.stride};
  const std::array<int64_t, 2> dilation = {1, 1};
  const std::array<int64_t, 4> input = {kRows, weight.size(1), geometry.usual.height, geometry.usual.width};
  return reorder.call(weight, padding, stride, dilation, 1, at::OptionalIntArrayRef(input));
}

int64_t PackedBytes(const at::Tensor& packed) {
  static const bool registered = Registered(kBytes);
  if (!registered) return packed.numel() * static_cast<int64_t>(packed.element_size());
  static const auto bytes =
      c10::Dispatcher::singleton().findSchemaOrThrow(kBytes, "").typed<int64_t(const at::Tensor&)>();
  return bytes.call(packed);
}

bool SamePackedBytes(const at::Tensor& a, const at::Tensor& b) {
  static const bool registered = Registered(kBytes) && Registered(kData);
  if (!registered || PackedBytes(a) != PackedBytes(b)) return false;
  static const auto data =
      c10::Dispatcher::singleton().findSchemaOrThrow(kData, "").typed<int64_t(const at::Tensor&)>();
  return std::memcmp(reinterpret_cast<const void*>(data.call(a)), reinterpret_cast<const void*>(data.call(b)),
                     static_cast<size_t>(PackedBytes(a))) == 0;
}

at::Tensor RunPackedConvolution(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                                const ConvGeometry& geometry) {
  static const auto convolve = c10::Dispatcher::singleton().findSchemaOrThrow(kConvolve, "").typed<Convolve>();
  const std::array<int64_t, 2> padding = {geometry.padding, geometry.padding};
  const std::array<int64_t, 2> stride = {geometry.stride, geometry.stride};
  const std::array<int64_t, 2> dilation = {1, 1};
  const std::optional<at::Tensor> added = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  return convolve.call(x, packed, added, padding, stride, dilation, 1, "none", c10::List<std::optional<at::Scalar>>(),
                       std::nullopt);
}

}  // namespace stepcast::model

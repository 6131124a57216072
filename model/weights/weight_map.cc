#include "model/weights/weight_map.h"

#include <algorithm>
#include <cstring>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast::model {
namespace {

constexpr size_t kListed = 20;  // names of each kind in one message

c10::ScalarType ScalarTypeOf(StoredType type) {
  switch (type) {
    case StoredType::kF32:
      return c10::ScalarType::Float;
    case StoredType::kF16:
      return c10::ScalarType::Half;
    case StoredType::kBf16:
      return c10::ScalarType::BFloat16;
    case StoredType::kF64:
      return c10::ScalarType::Double;
    case StoredType::kI64:
      return c10::ScalarType::Long;
    case StoredType::kUnread:
      break;
  }
  return c10::ScalarType::Undefined;
}

std::string ShapeText(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

// Older autoencoders store the projections of their attention as 1x1 convolutions.
bool Fits(const Shape& stored, const Shape& wanted) {
  if (stored == wanted) return true;
  Shape with_kernel = wanted;
  with_kernel.insert(with_kernel.end(), {1, 1});
  return wanted.size() == 2 && stored == with_kernel;
}

// The shape of the file for a shape that is wanted.
Shape AsStored(const StoredTensor& stored, const Shape& shape) {
  return stored.transposed && shape.size() == 2 ? Shape{shape[1], shape[0]} : shape;
}

// Reads the mapped bytes as a tensor and copies them to where they will live.
at::Tensor Materialise(const StoredTensor& stored, const Shape& shape, c10::Device device, c10::ScalarType dtype) {
  const absl::string_view bytes = stored.bytes();
  const c10::ScalarType type = ScalarTypeOf(stored.entry->type);
  const auto width = static_cast<uintptr_t>(BytesPerElement(stored.entry->type));
  at::Tensor view;
  if (bytes.empty() || reinterpret_cast<uintptr_t>(bytes.data()) % width != 0) {
    view = at::empty(shape, at::TensorOptions(type));
    if (!bytes.empty()) std::memcpy(view.data_ptr(), bytes.data(), bytes.size());
  } else {
    // from_blob asks for a mutable pointer; the tensor is only read, and the copy below owns its memory.
    view = at::from_blob(const_cast<char*>(bytes.data()), shape, at::TensorOptions(type));
  }
  return view.to(device, dtype, /*non_blocking=*/false, /*copy=*/true);
}

std::string Listed(absl::string_view what, const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kListed);
  std::string text =
      absl::StrCat(names.size(), " ", what, ": ",
                   absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (shown < names.size()) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

}  // namespace

WeightMap::WeightMap(const WeightSet& set, c10::Device device, c10::ScalarType dtype)
    : set_(&set), device_(device), dtype_(dtype) {}

WeightMap::WeightMap() : device_(c10::DeviceType::Meta), dtype_(c10::ScalarType::Float) {}

WeightScope WeightMap::Root() { return WeightScope(*this, ""); }

at::Tensor WeightMap::Shapeless(const Shape& shape) const {
  return at::empty(shape, at::TensorOptions(dtype_).device(c10::DeviceType::Meta));
}

at::Tensor WeightMap::Get(const std::string& name, const Shape& shape) {
  requested_[name] = shape;
  if (set_ == nullptr) return Shapeless(shape);
  const StoredTensor* stored = set_->Find(name);
  if (stored == nullptr) {
    missing_.push_back(name);
    return Shapeless(shape);
  }
  const Shape as_stored = AsStored(*stored, shape);
  if (!Fits(stored->entry->shape, as_stored)) {
    misshaped_.push_back(absl::StrCat(name, " is ", ShapeText(stored->entry->shape), ", needs ", ShapeText(as_stored)));
    return Shapeless(shape);
  }
  if (stored->entry->type == StoredType::kUnread) {
    unreadable_.push_back(absl::StrCat(name, " (", stored->entry->dtype, ")"));
    return Shapeless(shape);
  }
  const at::Tensor tensor = Materialise(*stored, as_stored, device_, dtype_);
  return stored->transposed ? tensor.t().contiguous() : tensor;
}

bool WeightMap::Has(const std::string& name) const { return set_ != nullptr && set_->Find(name) != nullptr; }

std::vector<std::string> WeightMap::Unused() const {
  std::vector<std::string> unused;
  if (set_ == nullptr) return unused;
  for (const auto& [name, stored] : set_->tensors()) {
    const bool ignored = std::any_of(ignored_.begin(), ignored_.end(),
                                     [&](const std::string& prefix) { return absl::StartsWith(name, prefix); });
    if (ignored || requested_.contains(name)) continue;
    const bool read = stored.entry->type != StoredType::kUnread;
    unused.push_back(read ? name : absl::StrCat(name, " (", stored.entry->dtype, ")"));
  }
  std::sort(unused.begin(), unused.end());
  return unused;
}

absl::Status WeightMap::Report(absl::string_view component) const {
  if (missing_.empty() && misshaped_.empty() && unreadable_.empty()) return absl::OkStatus();
  std::vector<std::string> parts;
  if (!missing_.empty()) parts.push_back(Listed("missing", missing_));
  if (!misshaped_.empty()) parts.push_back(Listed("mis-shaped", misshaped_));
  if (!unreadable_.empty()) {
    parts.push_back(Listed("of a type that is not read (F32, F16, BF16, F64, I64 are)", unreadable_));
  }
  if (const std::vector<std::string> unused = Unused(); !unused.empty()) parts.push_back(Listed("unused", unused));
  return absl::InvalidArgumentError(absl::StrCat(component, ": the weights in ", set_->folder(),
                                                 " do not fit its config: ", absl::StrJoin(parts, "; ")));
}

int64_t WeightMap::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, shape] : requested_) {
    int64_t elements = 1;
    for (const int64_t dim : shape) elements *= dim;
    count += elements;
  }
  return count;
}

at::Tensor CatWeights(const std::vector<at::Tensor>& weights) {
  // A missing weight is a shape without memory among real ones; the load fails later, with every problem listed.
  std::vector<at::Tensor> parts = weights;
  for (const at::Tensor& weight : weights) {
    if (!weight.is_meta()) continue;
    for (at::Tensor& part : parts) part = part.to(c10::DeviceType::Meta);
    break;
  }
  return at::cat(parts);
}

std::string WeightScope::Full(absl::string_view name) const {
  return prefix_.empty() ? std::string(name) : absl::StrCat(prefix_, ".", name);
}

WeightScope WeightScope::operator/(absl::string_view name) const { return WeightScope(*map_, Full(name)); }

WeightScope WeightScope::operator/(int64_t index) const { return WeightScope(*map_, Full(absl::StrCat(index))); }

at::Tensor WeightScope::Get(absl::string_view name, const Shape& shape) const { return map_->Get(Full(name), shape); }

bool WeightScope::Has(absl::string_view name) const { return map_->Has(Full(name)); }

}  // namespace stepcast::model

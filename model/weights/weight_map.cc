#include "model/weights/weight_map.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/empty.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/weights/tensor_reader.h"

namespace stepcast::model {
namespace {

constexpr size_t kReturned = 64 << 20;  // bytes that are let go before the system gets them back
constexpr size_t kListed = 20;          // names of each kind in one message

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

// What lies between other weights is of no use to the one large piece that comes next.
void ReturnFreedMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
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
  // After an error the file is not asked again; Report() tells of it.
  if (!read_.ok()) return Shapeless(shape);
  absl::StatusOr<at::Tensor> tensor = ReadTensor(*stored, as_stored, device_, dtype_);
  read_ = tensor.status();
  if (!read_.ok()) return Shapeless(shape);
  return stored->transposed ? tensor->t().contiguous() : *std::move(tensor);
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
  if (!read_.ok()) return absl::Status(read_.code(), absl::StrCat(component, ": ", read_.message()));
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

int WeightMap::AddSite(LoraSite site) {
  sites_.push_back(std::move(site));
  return static_cast<int>(sites_.size()) - 1;
}

at::Tensor CatWeights(std::vector<at::Tensor> weights) {
  // A missing weight is a shape without memory among real ones; the load fails later, with every problem listed.
  const bool missing = std::any_of(weights.begin(), weights.end(), [](const at::Tensor& w) { return w.is_meta(); });
  Shape shape = weights.front().sizes().vec();
  shape.front() = 0;
  for (const at::Tensor& weight : weights) shape.front() += weight.size(0);
  const at::TensorOptions options = weights.front().options();
  const at::Tensor all = at::empty(shape, missing ? options.device(c10::DeviceType::Meta) : options);
  int64_t row = 0;
  size_t let_go = 0;  // bytes
  for (at::Tensor& weight : weights) {
    at::Tensor part = std::exchange(weight, at::Tensor());
    if (!missing) all.narrow(0, row, part.size(0)).copy_(part);
    row += part.size(0);
    let_go += part.use_count() == 1 && part.is_cpu() ? part.nbytes() : 0;
    part.reset();
    if (let_go < kReturned) continue;
    ReturnFreedMemory();
    let_go = 0;
  }
  return all;
}

std::string WeightScope::Full(absl::string_view name) const {
  return prefix_.empty() ? std::string(name) : absl::StrCat(prefix_, ".", name);
}

WeightScope WeightScope::operator/(absl::string_view name) const { return WeightScope(*map_, Full(name)); }

WeightScope WeightScope::operator/(int64_t index) const { return WeightScope(*map_, Full(absl::StrCat(index))); }

at::Tensor WeightScope::Get(absl::string_view name, const Shape& shape) const { return map_->Get(Full(name), shape); }

int WeightScope::AddSite(int64_t in, int64_t out, int64_t kernel) const {
  return map_->AddSite({.name = prefix_, .in = in, .out = out, .kernel = kernel});
}

bool WeightScope::Has(absl::string_view name) const { return map_->Has(Full(name)); }

}  // namespace stepcast::model

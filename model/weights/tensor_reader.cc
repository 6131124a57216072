#include "model/weights/tensor_reader.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "core/mutex.h"
#include "core/status_macros.h"

namespace stepcast::model {
namespace {

constexpr int64_t kPiece = 1 << 19;  // bytes of the file; it, and what it becomes, stay in a core's cache

// Whether there is a vectorised conversion; float16 and bfloat16 know each other only by way of float32.
bool ByWayOfFloat(c10::ScalarType from, c10::ScalarType to) {
  return (from == at::kHalf && to == at::kBFloat16) || (from == at::kBFloat16 && to == at::kHalf);
}

class FirstError {
 public:
  void Update(const absl::Status& status) {
    if (status.ok()) return;
    const MutexLock lock(mutex_);
    status_.Update(status);
  }
  absl::Status status() const {
    const MutexLock lock(mutex_);
    return status_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

at::Tensor Over(void* data, int64_t count, c10::ScalarType type) {
  return at::from_blob(data, {count}, at::TensorOptions(type));
}

// Elements [begin, end) of `stored` to `to`, which holds `dtype`.
absl::Status ReadPiece(const StoredTensor& stored, int64_t begin, int64_t end, c10::ScalarType dtype, char* to) {
  const c10::InferenceMode no_autograd;  // on a worker of the pool
  const c10::ScalarType from = ScalarTypeOf(stored.entry->type);
  const auto width = static_cast<int64_t>(c10::elementSize(from));
  char* const place = to + begin * static_cast<int64_t>(c10::elementSize(dtype));
  const auto bytes = static_cast<size_t>((end - begin) * width);
  const auto read = [&](char* data) {
    return stored.file->Read(*stored.entry, static_cast<uint64_t>(begin * width), absl::MakeSpan(data, bytes));
  };
  if (from == dtype) return read(place);
  at::Tensor piece = at::empty({end - begin}, at::TensorOptions(from));
  STEPCAST_RETURN_IF_ERROR(read(static_cast<char*>(piece.data_ptr())));
  if (ByWayOfFloat(from, dtype)) piece = piece.to(at::kFloat);
  Over(place, end - begin, dtype).copy_(piece);
  return absl::OkStatus();
}

}  // namespace

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

absl::StatusOr<at::Tensor> ReadTensor(const StoredTensor& stored, c10::IntArrayRef shape, c10::Device device,
                                      c10::ScalarType dtype) {
  if (device.is_meta()) return at::empty(shape, at::TensorOptions(dtype).device(device));
  // Another device converts faster than this one, and half of the bytes travel.
  const c10::ScalarType from = ScalarTypeOf(stored.entry->type);
  const c10::ScalarType here = device.is_cpu() ? dtype : from;
  const at::Tensor tensor = at::empty(shape, at::TensorOptions(here));
  char* const data = static_cast<char*>(tensor.data_ptr());
  const int64_t each = kPiece / BytesPerElement(stored.entry->type);
  const int64_t count = tensor.numel();
  FirstError error;
  at::parallel_for(0, (count + each - 1) / each, 1, [&](int64_t first, int64_t last) {
    for (int64_t piece = first; piece < last; ++piece) {
      error.Update(ReadPiece(stored, piece * each, std::min(count, (piece + 1) * each), here, data));
    }
  });
  STEPCAST_RETURN_IF_ERROR(error.status());
  return tensor.to(device, dtype);
}

}  // namespace stepcast::model

#pragma once
// Brings a tensor from its file to where it will live.

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <c10/util/ArrayRef.h>

#include "absl/status/statusor.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {

// Reads `stored` as a tensor of `shape`, converted to `dtype` on `device`. In pieces, by the threads of the caller's
// pool (at::parallel_for): each piece goes from the file through a small buffer, or through none where nothing is to be
// converted, into the tensor, and nothing else of the file comes to memory. Meta: nothing is read.
// REQUIRES: the stored type is read, and `shape` has as many elements. Errors: those of DataFile::Read.
absl::StatusOr<at::Tensor> ReadTensor(const StoredTensor& stored, c10::IntArrayRef shape, c10::Device device,
                                      c10::ScalarType dtype);

// The torch type of `type`; Undefined for kUnread.
c10::ScalarType ScalarTypeOf(StoredType type);

}  // namespace stepcast::model

// Headers of weight files: eight bytes of data size, then the JSON. What is accepted tiles the data exactly.

#include <cstring>
#include <limits>
#include <string_view>

#include "model/weights/safetensors.h"
#include "tests/fuzz/scratch.h"

namespace stepcast {
namespace {

using fuzz::Check;

void CheckTensor(const model::TensorEntry& tensor, uint64_t data_size) {
  Check(tensor.begin <= tensor.end && tensor.end <= data_size);
  Check(tensor.shape.size() <= model::kMaxRank && tensor.name.size() <= model::kMaxTensorName);
  unsigned __int128 bits = static_cast<unsigned>(tensor.bits);
  for (const int64_t side : tensor.shape) {
    Check(side >= 0);
    bits *= static_cast<uint64_t>(side);
    if (bits == 0) break;
    Check(bits <= std::numeric_limits<uint64_t>::max());
  }
  Check(bits == (static_cast<unsigned __int128>(tensor.end - tensor.begin) * 8));
  if (tensor.type == model::StoredType::kUnread) return;
  Check(model::BytesPerElement(tensor.type) * 8 == tensor.bits);
}

void TryHeader(std::string_view bytes) {
  uint64_t data_size = 0;
  if (bytes.size() < sizeof(data_size)) return;
  std::memcpy(&data_size, bytes.data(), sizeof(data_size));
  bytes.remove_prefix(sizeof(data_size));
  const auto header = model::ParseSafetensorsHeader(absl::string_view(bytes.data(), bytes.size()), data_size);
  if (!header.ok()) {
    Check(header.status().code() == absl::StatusCode::kInvalidArgument && header.status().message().size() < 4096);
    return;
  }
  uint64_t at = 0;
  for (const model::TensorEntry& tensor : header->tensors) {
    Check(tensor.begin == at);
    CheckTensor(tensor, data_size);
    at = tensor.end;
  }
  Check(at == data_size && header->tensors.size() <= model::kMaxTensors);
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryHeader({reinterpret_cast<const char*>(data), size});
  return 0;
}

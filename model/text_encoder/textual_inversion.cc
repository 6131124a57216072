#include "model/text_encoder/textual_inversion.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "model/weights/safetensors.h"

namespace stepcast::model {
namespace {

// Far above what text encoders are wide, and what a prompt has room for.
constexpr int64_t kMostWidth = 1 << 14;
constexpr int64_t kMostVectors = 1024;
constexpr size_t kMostBytes = size_t{64} << 20;
constexpr size_t kMostListed = 4;

absl::Status Bad(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

template <typename Stored>
void Append(const std::string& bytes, std::vector<float>& values) {
  for (size_t at = 0; at + sizeof(Stored) <= bytes.size(); at += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, bytes.data() + at, sizeof(Stored));
    values.push_back(static_cast<float>(value));
  }
}

absl::StatusOr<std::vector<float>> ValuesOf(const SafetensorsFile& file, const TensorEntry& tensor) {
  STEPCAST_ASSIGN_OR_RETURN(const std::string bytes, file.Bytes(tensor));
  std::vector<float> values;
  switch (tensor.type) {
    case StoredType::kF32:
      Append<float>(bytes, values);
      break;
    case StoredType::kF16:
      Append<c10::Half>(bytes, values);
      break;
    case StoredType::kBf16:
      Append<c10::BFloat16>(bytes, values);
      break;
    case StoredType::kF64:
      Append<double>(bytes, values);
      break;
    case StoredType::kI64:
    case StoredType::kUnread:
      return Bad(file.path(), absl::StrCat("tensor '", tensor.name, "' is of type ", tensor.dtype,
                                           "; those that are read: F32, F16, BF16, F64"));
  }
  const bool finite = std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
  return finite ? absl::StatusOr<std::vector<float>>(std::move(values))
                : Bad(file.path(), absl::StrCat("tensor '", tensor.name, "' has values that are not finite"));
}

// Adds one encoder's vectors.
absl::Status AddTower(const SafetensorsFile& file, const TensorEntry& tensor, TextualInversion& inversion) {
  const std::vector<int64_t>& shape = tensor.shape;
  const int64_t width = shape.empty() ? 0 : shape.back();
  const int64_t vectors = shape.size() == 1 ? 1 : shape.empty() ? 0 : shape.front();
  if (shape.empty() || shape.size() > 2 || width < 1 || width > kMostWidth || vectors < 1 || vectors > kMostVectors) {
    return Bad(file.path(), absl::StrCat("tensor '", tensor.name, "' is [", absl::StrJoin(shape, ", "),
                                         "]; vectors are [width] or [vectors, width]"));
  }
  if (!inversion.towers.empty() && inversion.vectors != vectors) {
    return Bad(file.path(), absl::StrCat("clip_l has ", inversion.vectors, " vectors and clip_g ", vectors));
  }
  inversion.vectors = static_cast<int>(vectors);
  STEPCAST_ASSIGN_OR_RETURN(std::vector<float> values, ValuesOf(file, tensor));
  inversion.towers.push_back(std::move(values));
  return absl::OkStatus();
}

absl::Status RefusePickle(const std::string& path) {
  for (const char* ending : {".pt", ".bin", ".ckpt", ".pth"}) {
    if (!absl::EndsWithIgnoreCase(path, ending)) continue;
    return absl::UnimplementedError(absl::StrCat(
        path, ": pickles can run code and are never read; make a .safetensors file of it (docs/prompts.md)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TextualInversion> ReadTextualInversion(const std::string& path) {
  STEPCAST_RETURN_IF_ERROR(RefusePickle(path));
  STEPCAST_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  if (file.data()->size() > kMostBytes) return Bad(path, "is too large for vectors of words");
  const std::vector<TensorEntry>& tensors = file.header().tensors;
  TextualInversion inversion;
  inversion.name = std::filesystem::path(path).stem().string();
  if (tensors.size() == 1) {
    STEPCAST_RETURN_IF_ERROR(AddTower(file, tensors.front(), inversion));
    if (tensors.front().name != "emb_params") inversion.token = tensors.front().name;
  } else {
    for (const char* name : {"clip_l", "clip_g"}) {
      const auto tensor = std::ranges::find(tensors, name, &TensorEntry::name);
      if (tensors.size() != 2 || tensor == tensors.end()) {
        std::vector<std::string> names;
        for (size_t i = 0; i < std::min(tensors.size(), kMostListed); ++i) names.push_back(tensors[i].name);
        return Bad(path, absl::StrCat("no textual inversion: it has ", tensors.size(), " tensors (",
                                      absl::StrJoin(names, ", "), tensors.size() > kMostListed ? ", ..." : "",
                                      "); one, or clip_l and clip_g, are read"));
      }
      STEPCAST_RETURN_IF_ERROR(AddTower(file, *tensor, inversion));
    }
  }
  STEPCAST_ASSIGN_OR_RETURN(const std::string bytes, file.data()->ReadAll());
  inversion.sha256 = Sha256Hex(bytes);
  STEPCAST_RETURN_IF_ERROR(file.data()->CheckUnchanged());
  return inversion;
}

}  // namespace stepcast::model

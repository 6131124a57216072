#pragma once
// The safetensors format, version 1: 8 bytes of header length, a JSON header, one data buffer.
// Nothing in the file is trusted.

#include <cstdint>
#include <map>
#include <string>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/weights/mapped_file.h"

namespace stepcast::model {

// Element types. Stepcast reads the named ones; a tensor of another may lie in a file as long as nobody asks for it.
enum class StoredType { kF32, kF16, kBf16, kF64, kI64, kUnread };

// REQUIRES: `type` is not kUnread.
int64_t BytesPerElement(StoredType type);

// Where one tensor lies. Row-major, little-endian; not necessarily aligned to its element size.
struct TensorEntry {
  std::string name;
  StoredType type = StoredType::kF32;
  std::string dtype;           // as the file spells it: "F32", "F8_E4M3"
  int bits = 32;               // per element
  std::vector<int64_t> shape;  // {}: a scalar; a 0 is legal
  uint64_t begin = 0;          // bytes from the start of the data buffer
  uint64_t end = 0;            // one past the last byte
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // by offset; they tile the data buffer exactly
  std::map<std::string, std::string> metadata;
  bool null_metadata = false;  // it is there and null, which some writers take for none
};

// Limits that the format itself does not set.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensors = 100'000;
inline constexpr size_t kMaxRank = 8;
inline constexpr size_t kMaxTensorName = 1024;  // bytes

// Parses a header that describes a data buffer of `data_size` bytes.
// Errors: INVALID_ARGUMENT for anything that is not exactly the format: duplicate names or fields, unknown
// dtypes, non-integral numbers, sizes that overflow, holes, overlaps, a trailer, or one of the limits above.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json, uint64_t data_size);

// One open file. Movable; the bytes stay valid while it lives.
class SafetensorsFile {
 public:
  // Errors: NOT_FOUND; FAILED_PRECONDITION for a git-lfs pointer; INVALID_ARGUMENT for a malformed file.
  // Every message names the file.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const SafetensorsHeader& header() const { return header_; }

  // REQUIRES: `entry` is one of header().tensors.
  absl::string_view Bytes(const TensorEntry& entry) const { return data_.substr(entry.begin, entry.end - entry.begin); }

 private:
  SafetensorsFile(MappedFile file, SafetensorsHeader header, absl::string_view data)
      : file_(std::move(file)), header_(std::move(header)), data_(data) {}

  MappedFile file_;
  SafetensorsHeader header_;
  absl::string_view data_;  // into file_
};

}  // namespace stepcast::model

#pragma once
// The safetensors format, version 1: 8 bytes of header length, a JSON header, one data buffer.
// Nothing in the file is trusted.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/weights/data_file.h"

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

// One open file, of which the header alone is in memory. Movable. Thread-safety: const methods from any thread.
class SafetensorsFile {
 public:
  // Errors: NOT_FOUND; FAILED_PRECONDITION for a git-lfs pointer; INVALID_ARGUMENT for a malformed file.
  // Every message names the file.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return file_->path(); }
  const std::shared_ptr<const DataFile>& data() const { return file_; }
  const SafetensorsHeader& header() const { return header_; }

  // Fills `bytes` with those of `entry` from its byte `offset` on. REQUIRES: `entry` is one of header().tensors, or a
  // part of one, and holds so many. Errors: DataFile::Read's.
  absl::Status Read(const TensorEntry& entry, uint64_t offset, absl::Span<char> bytes) const {
    return file_->Read(begin_ + entry.begin + offset, bytes);
  }
  // All of a small tensor.
  absl::StatusOr<std::string> Bytes(const TensorEntry& entry) const;

 private:
  SafetensorsFile(std::shared_ptr<const DataFile> file, SafetensorsHeader header, uint64_t begin)
      : file_(std::move(file)), header_(std::move(header)), begin_(begin) {}

  std::shared_ptr<const DataFile> file_;
  SafetensorsHeader header_;
  uint64_t begin_;  // of the data buffer in the file
};

}  // namespace stepcast::model

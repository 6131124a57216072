#pragma once
// A file that is read in pieces.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace stepcast::model {

// Owns one open regular file. Nothing of it stays in memory; whoever replaces it by another file of the same name does
// not disturb. Movable. Thread-safety: const methods from any thread.
class DataFile {
 public:
  // Errors: NOT_FOUND when there is no such regular file; FAILED_PRECONDITION when it is a link to nothing, as half a
  // copy of a Hugging Face cache is full of; PERMISSION_DENIED, INTERNAL with errno's words.
  static absl::StatusOr<DataFile> Open(const std::string& path);

  DataFile(DataFile&& other) noexcept;
  DataFile& operator=(DataFile&& other) noexcept;
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;
  ~DataFile();

  const std::string& path() const { return path_; }
  uint64_t size() const { return identity_.size; }  // when it was opened

  // Fills `bytes` with what lies at `offset`. Errors: errno's, DATA_LOSS when the file has become shorter; both name
  // the file.
  absl::Status Read(uint64_t offset, absl::Span<char> bytes) const;
  // The whole of a small file. Errors: as for Read.
  absl::StatusOr<std::string> ReadAll() const;

  // FAILED_PRECONDITION when it is not as it was when it was opened: what was read may be of two minds.
  absl::Status CheckUnchanged() const;

 private:
  struct Identity {
    uint64_t size = 0;
    int64_t modified_s = 0;
    int64_t modified_ns = 0;

    bool operator==(const Identity&) const = default;
  };
  static absl::StatusOr<Identity> IdentityOf(int descriptor, const std::string& path);

  DataFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_ = -1;
  Identity identity_;
};

// Where a link that leads nowhere points; "" for anything else.
std::string DanglingLink(const std::string& path);

// Names of the regular files (and links to such) in `folder`, sorted; empty when it cannot be read.
std::vector<std::string> FileNames(const std::string& folder);

// True for the small text file that a clone without git-lfs holds in place of a large one.
bool IsLfsPointer(absl::string_view bytes);
inline constexpr size_t kMaxLfsPointer = 1024;  // bytes

}  // namespace stepcast::model

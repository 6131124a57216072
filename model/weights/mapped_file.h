#pragma once
// A file in memory, read-only and private.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace stepcast::model {

// Owns one private, read-only mapping of a whole file. Movable.
//
// A file that another process shortens while it is mapped raises SIGBUS on access, as with any mapping; model
// folders are read-only to the server in every deployment that ships with it.
class MappedFile {
 public:
  // Errors: NOT_FOUND when there is no such regular file; FAILED_PRECONDITION when it is a link to nothing, as half a
  // copy of a Hugging Face cache is full of; PERMISSION_DENIED, INTERNAL with errno's words.
  static absl::StatusOr<MappedFile> Open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  absl::string_view bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, absl::string_view bytes) : path_(std::move(path)), bytes_(bytes) {}

  std::string path_;
  absl::string_view bytes_;
};

// Where a link that leads nowhere points; "" for anything else.
std::string DanglingLink(const std::string& path);

// Names of the regular files (and links to such) in `folder`, sorted; empty when it cannot be read.
std::vector<std::string> FileNames(const std::string& folder);

// True for the small text file that a clone without git-lfs holds in place of a large one.
bool IsLfsPointer(absl::string_view bytes);

}  // namespace stepcast::model

#include "model/weights/data_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace stepcast::model {

absl::StatusOr<DataFile::Identity> DataFile::IdentityOf(int descriptor, const std::string& path) {
  struct stat info;
  if (fstat(descriptor, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot stat ", path));
  if (!S_ISREG(info.st_mode)) return absl::NotFoundError(absl::StrCat(path, " is not a regular file"));
  return Identity{static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

absl::StatusOr<DataFile> DataFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not hang before fstat can refuse it.
  DataFile file(path, open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.descriptor_ < 0) {
    const int error = errno;
    const std::string target = DanglingLink(path);
    if (!target.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is a link to ", target,
                       ", which is not there: copy the folder with its links followed (cp -rL), or download it again"));
    }
    return absl::ErrnoToStatus(error, absl::StrCat("cannot open ", path));
  }
  STEPCAST_ASSIGN_OR_RETURN(file.identity_, IdentityOf(file.descriptor_, path));
  return file;
}

DataFile::DataFile(DataFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), identity_(other.identity_) {}

DataFile& DataFile::operator=(DataFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(identity_, other.identity_);
  return *this;
}

DataFile::~DataFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status DataFile::Read(uint64_t offset, absl::Span<char> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_, " at byte ", offset));
    if (count == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, " ends at byte ", offset, ", earlier than when it was opened: it changed meanwhile"));
    }
    offset += static_cast<uint64_t>(count);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> DataFile::ReadAll() const {
  std::string bytes(size(), '\0');
  STEPCAST_RETURN_IF_ERROR(Read(0, absl::MakeSpan(bytes)));
  return bytes;
}

absl::Status DataFile::CheckUnchanged() const {
  STEPCAST_ASSIGN_OR_RETURN(const Identity now, IdentityOf(descriptor_, path_));
  if (now == identity_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path_, " changed while it was read; load it again when it is done"));
}

std::string DanglingLink(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_symlink(path, ignored) || std::filesystem::exists(path, ignored)) return "";
  return std::filesystem::read_symlink(path, ignored).string();
}

std::vector<std::string> FileNames(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsLfsPointer(absl::string_view bytes) {
  return bytes.size() < kMaxLfsPointer && absl::StartsWith(bytes, "version https://git-lfs.github.com/spec/v1");
}

}  // namespace stepcast::model

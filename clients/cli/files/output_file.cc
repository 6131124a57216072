#include "clients/cli/files/output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <utility>

#include "clients/cli/call/interrupt.h"

namespace stepcast::cli {
namespace {

constexpr int kMaxSymlinks = 40;  // Linux's own limit

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What `path` means once its symlinks are followed; the last one may lead to nothing. nullopt with errno.
// `magic` tells whether one of them is the kernel's own (/proc), which a name cannot stand for.
std::optional<std::string> ResolveLinks(std::string path, bool& magic) {
  char target[PATH_MAX];
  for (int links = 0; links <= kMaxSymlinks; ++links) {
    const ssize_t size = readlink(path.c_str(), target, sizeof(target));
    if (size < 0) {
      // EINVAL: no symlink; ENOENT: nothing there yet.
      return errno == EINVAL || errno == ENOENT ? std::optional(path) : std::nullopt;
    }
    magic = magic || path.compare(0, 6, "/proc/") == 0;
    const std::string next(target, static_cast<size_t>(size));
    path = next[0] == '/' ? next : FolderOf(path) + "/" + next;
  }
  errno = ELOOP;
  return std::nullopt;
}

// Writes everything; false with errno.
bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// The same to a reader that may be slow: no write waits, so that Ctrl-C is heard. False with errno, EINTR for Ctrl-C.
bool WriteStream(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd fds[] = {{fd, POLLOUT, 0}, {InterruptFd(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return false;
    if (fds[1].revents & POLLIN) {
      errno = EINTR;
      return false;
    }
    if (fds[0].revents == 0) continue;
    // A pipe that can be written takes so much without waiting.
    if (!WriteAll(fd, bytes.substr(0, PIPE_BUF))) return false;
    bytes.remove_prefix(std::min<size_t>(bytes.size(), PIPE_BUF));
  }
  return true;
}

bool SameFile(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// Creates a file of a name of its own in `folder`; -1 with errno.
int CreateBeside(const std::string& folder, unsigned int mode, std::string& path) {
  for (int attempt = 0;; ++attempt) {
    path = folder + "/.stepcast-" + std::to_string(getpid()) + "-" + std::to_string(attempt) + ".part";
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}

}  // namespace

OutputFile::OutputFile(std::string name) : name_(std::move(name)) {}

OutputFile::~OutputFile() {
  if (fd_ > 2) close(fd_);
}

std::string OutputFile::Problem(const std::string& reason) const {
  return "cannot write " + (name_ == "-" ? "to standard output" : name_.empty() ? "''" : name_) + ": " + reason;
}

std::string OutputFile::OpenStream() {
  kind_ = Kind::kStream;
  fd_ = open(name_.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (fd_ >= 0) return "";
  return Problem(errno == ENXIO ? "it is a socket or a device without hardware" : std::strerror(errno));
}

std::string OutputFile::CheckNew(const std::string& folder) {
  struct stat status{};
  if (stat(folder.c_str(), &status) != 0) {
    return Problem(errno == ENOENT ? "there is no folder " + folder : folder + ": " + std::strerror(errno));
  }
  if (!S_ISDIR(status.st_mode)) return Problem(folder + " is no folder");
  if (access(folder.c_str(), W_OK | X_OK) != 0) return Problem("folder " + folder + ": " + std::strerror(errno));
  kind_ = Kind::kReplaced;
  return "";
}

std::string OutputFile::Check() {
  if (kind_ != Kind::kUnchecked) return "";
  if (name_.empty() || name_.back() == '/') return Problem("that is no file name");
  struct stat status{};
  struct stat standard{};
  existed_ = name_ != "-" && stat(name_.c_str(), &status) == 0;
  // A device has no content of its own that two writers could mix up.
  if (name_ == "-" ||
      (existed_ && !S_ISCHR(status.st_mode) && fstat(1, &standard) == 0 && SameFile(status, standard))) {
    kind_ = Kind::kStream;
    fd_ = 1;
    return "";
  }
  if (!existed_ && errno != ENOENT) return Problem(std::strerror(errno));
  if (existed_ && S_ISDIR(status.st_mode)) return Problem("it is a folder");
  if (existed_ && access(name_.c_str(), W_OK) != 0) return Problem(std::strerror(errno));
  if (existed_ && !S_ISREG(status.st_mode)) return OpenStream();
  bool magic = false;
  std::optional<std::string> target = ResolveLinks(name_, magic);
  if (!target.has_value()) return Problem(std::strerror(errno));
  target_ = *std::move(target);
  if (!existed_) return CheckNew(FolderOf(target_));
  mode_ = status.st_mode & 07777;
  const bool alone = status.st_nlink == 1 && status.st_uid == geteuid() && !magic;
  const bool folder_writable = access(FolderOf(target_).c_str(), W_OK | X_OK) == 0;
  kind_ = alone && folder_writable ? Kind::kReplaced : Kind::kOverwritten;
  if (magic) target_ = name_;
  return "";
}

std::string OutputFile::Write(std::string_view bytes) {
  if (std::string problem = Check(); !problem.empty()) return problem;
  if (kind_ == Kind::kReplaced) return Replace(bytes);
  if (kind_ == Kind::kOverwritten) return Overwrite(bytes);
  if (WriteStream(fd_, bytes)) return "";
  return Problem(errno == EINTR ? "interrupted" : std::strerror(errno));
}

std::string OutputFile::Replace(std::string_view bytes) {
  std::string part;
  const int fd = CreateBeside(FolderOf(target_), mode_, part);
  if (fd < 0) return Problem(std::strerror(errno));
  // The mode of a file that is replaced stays, whatever the umask; close() may be the first to tell of a full disk.
  const bool written = (!existed_ || fchmod(fd, mode_) == 0) && WriteAll(fd, bytes);
  int error = written ? 0 : errno;
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && rename(part.c_str(), target_.c_str()) != 0) error = errno;
  if (error != 0) {
    unlink(part.c_str());
    return Problem(std::strerror(error));
  }
  made_ = true;
  return "";
}

std::string OutputFile::Overwrite(std::string_view bytes) {
  const int fd = open(target_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0) return Problem(std::strerror(errno));
  const bool written = WriteAll(fd, bytes);
  int error = written ? 0 : errno;
  if (close(fd) != 0 && error == 0) error = errno;
  return error == 0 ? "" : Problem(std::strerror(error));
}

void OutputFile::RemoveIfMade() {
  if (made_ && target_ == name_) unlink(target_.c_str());
}

}  // namespace stepcast::cli

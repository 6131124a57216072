#include "server/config/file_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLinks = 40;  // as the kernel's
constexpr size_t kMaxShown = 256;

const char* KindOf(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return "a folder";
  if (S_ISFIFO(status.st_mode)) return "a pipe";
  if (S_ISSOCK(status.st_mode)) return "a socket";
  return "a device";
}

fs::path FolderOf(const fs::path& path) {
  const fs::path folder = path.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

std::string FolderMistake(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return "the folder does not exist; allowed: a file in a folder that does";
  if (!fs::is_directory(folder, error)) return "what should be its folder is none; allowed: a file in a folder";
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return "this process may not write to the folder; allowed: a file in one where it may";
  }
  return "";
}

std::string FileMistake(const std::string& path) {
  if (path.find('\0') != std::string::npos) return "a NUL byte; allowed: a file";
  struct stat status{};
  // As it is named: where a link of the kernel's own leads (/dev/stdout) can have no name.
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return absl::StrCat(KindOf(status), "; allowed: a regular file, or none yet");
  }
  const fs::path target = ResolveLinks(path);
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(target, error))) return "links that lead to no file; allowed: a file";
  const std::string name = target.filename().string();
  if (name.empty() || name == "." || name == "..") return "a folder; allowed: a regular file, or none yet";
  return FolderMistake(FolderOf(target));
}

// What two names of one file have in common.
std::string Identity(const std::string& path) {
  const fs::path target = ResolveLinks(path);
  struct stat status{};
  if (stat(target.c_str(), &status) == 0) return absl::StrCat(status.st_dev, ":", status.st_ino);
  std::error_code error;
  const fs::path folder = fs::canonical(FolderOf(target), error);
  return (error ? FolderOf(target) : folder) / target.filename();
}

}  // namespace

std::string ResolveLinks(const std::string& path) {
  fs::path at = path;
  std::error_code error;
  for (int i = 0; i < kMaxLinks; ++i) {
    if (!fs::is_symlink(fs::symlink_status(at, error))) return at.string();
    const fs::path target = fs::read_symlink(at, error);
    if (error) return path;
    at = FolderOf(at) / target;  // an absolute target replaces all
  }
  return path;
}

std::vector<std::string> FindFileMistakes(const std::vector<NamedFile>& files) {
  std::vector<std::string> mistakes;
  std::map<std::string, std::pair<size_t, std::string>> owners;  // identity -> index in `files`, the name
  for (size_t i = 0; i < files.size(); ++i) {
    const NamedFile& file = files[i];
    const std::string mistake = file.read_only ? "" : FileMistake(file.path);
    if (!mistake.empty()) {
      mistakes.push_back(absl::StrCat(file.key, ": got ", Quoted(file.path, kMaxShown), ": ", mistake));
      continue;
    }
    std::vector<std::string> names = {file.path};
    for (const std::string& suffix : file.suffixes) names.push_back(ResolveLinks(file.path) + suffix);
    for (const std::string& name : names) {
      const auto [owner, fresh] = owners.try_emplace(Identity(name), i, name);
      if (fresh || owner->second.first == i) continue;
      const NamedFile& other = files[owner->second.first];
      mistakes.push_back(absl::StrCat(file.key, ": got ", Quoted(file.path, kMaxShown), ": it would write ",
                                      Quoted(name, kMaxShown), ", which is also ", other.key, "'s ",
                                      Quoted(owner->second.second, kMaxShown), "; allowed: another file"));
      break;
    }
  }
  return mistakes;
}

}  // namespace stepcast

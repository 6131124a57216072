#include "server/config/read_file.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace stepcast {
namespace {

constexpr std::streamsize kMaxReadBytes = (1 << 20) + 1;

}  // namespace

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": this is a folder; allowed: a YAML file"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxReadBytes), '\0');
  if (!file || (!file.read(text.data(), kMaxReadBytes) && !file.eof())) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the file cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::string BesideConfig(const std::string& config_path, const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(config_path).parent_path();
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

}  // namespace stepcast

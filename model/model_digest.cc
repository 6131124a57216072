#include "model/model_digest.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "model/weights/mapped_file.h"

namespace stepcast::model {

absl::StatusOr<std::string> ModelDigest(const std::string& folder, std::vector<std::string> paths,
                                        const std::vector<std::string>& said) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  const std::string prefix = absl::StrCat(folder, "/");
  Sha256 whole;
  for (const std::string& path : paths) {
    STEPCAST_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
    const absl::string_view bytes = file.bytes();
    const std::string digest = Sha256Hex(std::string_view(bytes.data(), bytes.size()));
    if (paths.size() == 1 && said.empty()) return digest;
    const std::string name =
        absl::StartsWith(path, prefix) ? path.substr(prefix.size()) : std::filesystem::path(path).filename().string();
    whole.Update(absl::StrCat(digest, "  ", name, "\n"));
  }
  for (const std::string& line : said) whole.Update(absl::StrCat(line, "\n"));
  return whole.HexDigest();
}

}  // namespace stepcast::model

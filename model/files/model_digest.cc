#include "model/files/model_digest.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/sha256.h"
#include "core/status_macros.h"

namespace stepcast::model {

absl::StatusOr<std::string> ModelDigest(const std::string& folder, std::vector<std::string> paths, FileDigests& files,
                                        const std::vector<std::string>& said) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  const std::string prefix = absl::StrCat(folder, "/");
  Sha256 whole;
  for (const std::string& path : paths) {
    STEPCAST_ASSIGN_OR_RETURN(const std::string digest, files.Of(path));
    if (paths.size() == 1 && said.empty()) return digest;
    const std::string name =
        absl::StartsWith(path, prefix) ? path.substr(prefix.size()) : std::filesystem::path(path).filename().string();
    whole.Update(absl::StrCat(digest, "  ", name, "\n"));
  }
  for (const std::string& line : said) whole.Update(absl::StrCat(line, "\n"));
  return whole.HexDigest();
}

}  // namespace stepcast::model

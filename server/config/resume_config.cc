#include "server/config/resume_config.h"

#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace stepcast {
namespace {

constexpr size_t kMinKeyBytes = 32;
constexpr size_t kMaxKeys = 16;
constexpr std::streamsize kMaxFileBytes = 64 << 10;

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadResumeKeys(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxFileBytes), '\0');
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": the file cannot be opened"));
  if (!file.read(text.data(), kMaxFileBytes) && !file.eof()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the file cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  std::vector<std::string> keys;
  int number = 0;
  for (const absl::string_view whole : absl::StrSplit(text, '\n')) {
    ++number;
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(whole, absl::MaxSplits('#', 1));
    const absl::string_view line = absl::StripAsciiWhitespace(parts.first);
    if (line.empty()) continue;
    std::string& key = keys.emplace_back();
    if (!absl::Base64Unescape(line, &key) || key.size() < kMinKeyBytes) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": allowed: base64 of at least ", kMinKeyBytes,
                                                     " bytes, as of `openssl rand -base64 32`"));
    }
  }
  if (keys.empty() || keys.size() > kMaxKeys) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": got ", keys.size(), " keys; allowed: 1..", kMaxKeys));
  }
  return keys;
}

}  // namespace stepcast

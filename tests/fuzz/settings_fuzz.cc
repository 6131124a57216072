// A server's configuration (first byte even) and a file of tokens (odd), as text. What is refused is refused with words,
// none of which is a hash; what is taken can be told, and is equal to itself.

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/config/config.h"
#include "server/config/config_printer.h"
#include "server/config/token_file.h"
#include "tests/fuzz/scratch.h"

namespace stepcast {
namespace {

using fuzz::Check;

// Whether 64 hex digits follow one another: somebody's secret, or close to it.
bool ShowsAHash(std::string_view text) {
  int digits = 0;
  for (const char c : text) {
    digits = std::isxdigit(static_cast<unsigned char>(c)) != 0 ? digits + 1 : 0;
    if (digits == 64) return true;
  }
  return false;
}

void TryConfig(const std::string& text) {
  const absl::StatusOr<ServerConfig> config = ParseServerConfig(text, "/nowhere/config.yaml", {});
  if (!config.ok()) return Check(!config.status().message().empty());
  Check(ChangedKeys(*config, *config).empty());
  Check(config->limits.max_side > 0 && config->engine.max_rows >= 2);
}

void TryTokens(const std::string& text) {
  const auto entries = ParseTokens(text, "/nowhere/tokens.yaml", {Role::kPaint, Role::kRead});
  if (!entries.ok()) {
    Check(!entries.status().message().empty());
    return Check(!ShowsAHash(std::string(entries.status().message())));
  }
  for (const TokenEntry& entry : *entries) Check(!entry.tenant.empty());
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  data[0] % 2 == 0 ? stepcast::TryConfig(text) : stepcast::TryTokens(text);
  return 0;
}

#pragma once
// Files of bearer tokens: who may call.
//
// A YAML list with an entry for each token, of which only the SHA-256 is kept:
//
//   - {sha256: 9f86d0..., tenant: acme, name: web, roles: [paint, read], expires: 2027-01-31T00:00:00Z}
//
// A plain hash will do because a token is not a password: it is drawn from 256 random bits (MakeToken), so that nobody
// finds it by trying, and a slow hash would only make each call slow.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace stepcast {

// What a token lets its bearer do.
enum class Role {
  kPaint,    // Generate, GenerateImage
  kRead,     // ListModels, GetModel, ListAdapters, GetServerInfo
  kWatch,    // the admin port: WatchTicks, GetSchedule
  kOperate,  // the admin port: LoadModel, UnloadModel
};
inline constexpr std::array<std::string_view, 4> kRoleNames = {"paint", "read", "watch", "operate"};

// 32 bytes.
using TokenDigest = std::array<uint64_t, 4>;

struct TokenEntry {
  TokenDigest digest = {};
  std::string tenant = {};
  std::string name = {};  // what logs call it; "": nothing
  std::vector<Role> roles = {};
  absl::Time expires = absl::InfiniteFuture();
};

inline constexpr size_t kMaxTokens = 10'000;

TokenDigest DigestOf(std::string_view token);

// Reads the text of a file. `roles`: those that mean something on the port that the file is for, and what an entry
// without any has. Errors: INVALID_ARGUMENT, one "path:line: message" per mistake; no message holds a hash.
absl::StatusOr<std::vector<TokenEntry>> ParseTokens(const std::string& text, const std::string& path,
                                                    const std::vector<Role>& roles);

// The same for the file at `path`. Errors: also NOT_FOUND.
absl::StatusOr<std::vector<TokenEntry>> LoadTokens(const std::string& path, const std::vector<Role>& roles);

// A token that nobody has, and the line for the file.
struct NewToken {
  std::string token = {};  // "sct_" and 43 characters for 256 bits of the system's randomness
  std::string line = {};
};

// Errors: INVALID_ARGUMENT where `tenant` cannot be one; INTERNAL when the system has no randomness.
absl::StatusOr<NewToken> MakeToken(const std::string& tenant);

}  // namespace stepcast

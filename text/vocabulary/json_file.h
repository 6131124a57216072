#pragma once
// Reads files that nobody vouches for.

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace stepcast {

inline constexpr int kMaxJsonDepth = 32;
inline constexpr size_t kMaxJsonValues = 2'000'000;  // CLIP's tokenizer.json has about 200,000

// Reads a whole regular file.
// Errors: NOT_FOUND; INVALID_ARGUMENT when it is no regular file, larger than `max_bytes`, or a Git LFS pointer;
// UNAVAILABLE when reading fails. Messages name the path.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes);

// Parses JSON. `name` is what messages call it.
// Errors: INVALID_ARGUMENT, with the byte offset, for text that is no JSON or no UTF-8; for a key that an object has
// twice; for more than kMaxJsonDepth levels or kMaxJsonValues values.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, const std::string& name);

// Both of the above.
absl::StatusOr<nlohmann::json> ReadJsonFile(const std::string& path, size_t max_bytes);

}  // namespace stepcast

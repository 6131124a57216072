#pragma once
// The `resume` section: pictures that are handed out unfinished (server/call/resume_tokens.h).

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace stepcast {

struct ResumeConfig {
  std::string key_file;                       // "": no tokens
  absl::Duration token_ttl = absl::Hours(1);  // 1 min..30 days
  int64_t max_token_bytes = 3 << 20;          // 65536..8388608; larger ones are not handed out
  int min_checkpoint_every = 8;               // evaluations, 1..1000
};

// Keys that sign resume tokens: a line of base64 each, of at least 32 bytes; the first signs, all are good for reading.
// Empty lines and what follows `#` do not count. Errors: NOT_FOUND or INVALID_ARGUMENT, naming the file and the line,
// never its text.
absl::StatusOr<std::vector<std::string>> ReadResumeKeys(const std::string& path);

}  // namespace stepcast

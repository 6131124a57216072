#pragma once
// One name for the exact bytes of a model.

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace stepcast::model {

// The SHA-256 of a list of lines "<sha256 of the file>  <path below folder>\n", sorted by path: what
// `sha256sum <paths> | sha256sum` prints. `paths` lie below `folder`; duplicates count once.
// Errors: NOT_FOUND and the like from opening a file.
absl::StatusOr<std::string> ModelDigest(const std::string& folder, std::vector<std::string> paths);

}  // namespace stepcast::model

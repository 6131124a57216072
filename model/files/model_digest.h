#pragma once
// One name for the exact bytes of a model.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/files/file_digests.h"

namespace stepcast::model {

// The SHA-256 of a list of lines "<sha256 of the file>  <path below folder>\n", sorted by path: what
// `sha256sum <paths> | sha256sum` prints. Of a path that does not lie below `folder` the last part stands in the list;
// duplicates count once. Of one file alone: its own SHA-256, whatever it is called.
// Errors: those of opening and reading a file.
// `files` works out those of the files; `said` are further lines, of what people decided.
absl::StatusOr<std::string> ModelDigest(const std::string& folder, std::vector<std::string> paths, FileDigests& files,
                                        const std::vector<std::string>& said = {});

}  // namespace stepcast::model

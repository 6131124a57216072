#pragma once
// `stepcast generate --compare euler,ddim`: the same picture by several samplers, on one sheet.

#include <string>
#include <vector>

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

struct CompareOptions {
  stepcast::v1::GenerateRequest request;        // without a sampler; one picture, as PNG
  std::vector<stepcast::v1::Sampler> samplers;  // in the order of the sheet
  std::string output;                           // a PNG; "-": stdout
  bool json = false;                            // one JSON object on stdout instead of text
};

// Paints request with every sampler and the same seed, all at once so that they share the server's ticks, and writes
// the sheet. Tells which picture is whose, row by row, on stdout (stderr when the sheet goes there). With
// request.validate_only it tells how long each would take, and writes nothing. Errors are told on stderr.
ExitCode Compare(const ConnectionOptions& connection, const CompareOptions& options);

}  // namespace stepcast::cli

#pragma once
// `stepcast generate`: one request, its progress, its pictures as files.

#include <string>

#include "clients/cli/call/connection.h"
#include "clients/cli/call/exit_code.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

struct GenerateOptions {
  stepcast::v1::GenerateRequest request;
  std::string output;  // "apple.png"; with several pictures "apple-0.png", "apple-1.png"; "-": stdout
  bool watch = false;  // write previews to "apple.preview.jpg" while painting
  bool json = false;   // one JSON object on stdout instead of text
  bool quiet = false;  // no progress bar
};

// Runs the request to its end. Nothing is asked of the server unless the files can be written. Errors are told on
// stderr.
ExitCode Generate(const ConnectionOptions& connection, GenerateOptions options);

}  // namespace stepcast::cli

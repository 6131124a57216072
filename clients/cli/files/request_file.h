#pragma once
// `--from FILE`: a request from a picture or from JSON. Files are not trusted.

#include <string>
#include <string_view>

#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

// Reads a GenerateRequest from the file `name` ("-": stdin): a PNG, JPEG or WebP that carries one, or proto3 JSON: the
// request itself, or what `generate --json` printed. Unknown and repeated keys are refused, as are files above 64 MiB
// and JSON above 1 MiB. Returns "" or the reason.
std::string ReadRequestFile(const std::string& name, stepcast::v1::GenerateRequest& request);

// The same for the file's bytes.
std::string ParseRequestFile(std::string_view bytes, stepcast::v1::GenerateRequest& request);

}  // namespace stepcast::cli

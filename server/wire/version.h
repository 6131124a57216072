#pragma once
// Which build this is.

#include <string_view>

namespace stepcast {

extern const std::string_view kVersion;  // semantic version: "0.1.0"
extern const std::string_view kCommit;   // abbreviated hash of the source, "unknown" outside a checkout

}  // namespace stepcast

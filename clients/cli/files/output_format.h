#pragma once
// Which format a file of a given name has.

#include <string>

#include "stepcast/v1/output.pb.h"

namespace stepcast::cli {

// Settles the format of `output`: what `asked` (--format, UNSPECIFIED without it) says, else what the name's extension
// says in any case, else UNSPECIFIED: nobody asks for one. A name that is no extension of pictures needs --format, and
// one that contradicts it is refused. Returns "" or what is wrong.
std::string SettleFormat(const std::string& output, stepcast::v1::ImageFormat asked, stepcast::v1::ImageFormat& format);

// ".png", ".jpg" or ".webp"; ".png" for UNSPECIFIED.
std::string ExtensionOf(stepcast::v1::ImageFormat format);

}  // namespace stepcast::cli

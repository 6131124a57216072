#pragma once
// What it takes to call a method.

#include <optional>
#include <string_view>

#include "server/config/token_file.h"

namespace stepcast {

// The role that `method` ("Generate") asks for; nullopt for one that is not known here, which nobody with a token may
// call: a new method is closed until it has its line.
std::optional<Role> RoleFor(std::string_view method);

}  // namespace stepcast

#pragma once
// What the environment of the process says.

#include <string>
#include <utility>
#include <vector>

namespace stepcast {

// "" for a variable that is not set.
std::string EnvironmentVariable(const char* name);

// All that begin with `prefix`, as name and value, in order of name.
std::vector<std::pair<std::string, std::string>> EnvironmentVariables(const std::string& prefix);

}  // namespace stepcast

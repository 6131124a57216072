#include "server/config/environment.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace stepcast {

std::string EnvironmentVariable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::pair<std::string, std::string>> EnvironmentVariables(const std::string& prefix) {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const size_t sign = text.find('=');
    if (sign == std::string_view::npos || !text.starts_with(prefix)) continue;
    found.emplace_back(text.substr(0, sign), text.substr(sign + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace stepcast

#include "server/config/byte_size.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace stepcast {
namespace {

constexpr double kMost = 1LL << 60;

constexpr std::pair<absl::string_view, double> kUnits[] = {
    {"", 1},      {"B", 1},           {"kB", 1e3},        {"MB", 1e6},        {"GB", 1e9},
    {"TB", 1e12}, {"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30}, {"TiB", 1LL << 40},
};

}  // namespace

std::optional<int64_t> ParseBytes(absl::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const absl::string_view unit = absl::StripAsciiWhitespace(text.substr(digits));
  double number = 0;
  if (digits == 0 || !absl::SimpleAtod(text.substr(0, digits), &number)) return std::nullopt;
  for (const auto& [name, bytes] : kUnits) {
    if (unit != name) continue;
    const double size = std::floor(number * bytes);
    return size <= kMost ? std::optional<int64_t>(static_cast<int64_t>(size)) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace stepcast

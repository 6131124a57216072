#pragma once
// Amounts of memory, as people write them.

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace stepcast {

inline constexpr char kByteSizes[] = "a size like 12GiB, 1.5GB, 800MiB";

// "12GiB", "1.5 GB", "800MiB", "4096" as bytes, rounded down; units B, kB, KiB, MB, MiB, GB, GiB, TB, TiB. nullopt for
// anything else, for negative sizes and for more than 2^60.
std::optional<int64_t> ParseBytes(absl::string_view text);

}  // namespace stepcast

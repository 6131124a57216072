#pragma once
// What A1111's web UI reads in a prompt and this library does not: refused by name, never painted as words.

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace stepcast {

// Errors: INVALID_ARGUMENT "byte offset N: ..." for the first "<word:...>", with which A1111 loads LoRAs and
// hypernetworks. Linear in `text`.
absl::Status RefuseExtraNetworks(std::string_view text);

// Errors: INVALID_ARGUMENT "byte offset N: ..." for the first pair of square brackets that ends in a number
// ("[a:b:0.5]",
// "[a:3]": other words from a step on) or has a "|" ("[a|b]": other words in every step). The brackets must nest
// properly with round ones; escaped characters do not count. `text` begins at `offset` of the prompt. Linear in `text`.
absl::Status RefuseForeignBrackets(std::string_view text, size_t offset);

}  // namespace stepcast

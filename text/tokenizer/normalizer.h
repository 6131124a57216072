#pragma once
// What CLIP's tokenizer does to a text before it looks for words.

#include <string>
#include <string_view>

namespace stepcast {

// Canonical composition, then every run of white space becomes one space, then lower case character by character (which
// is not composed again). REQUIRES: valid UTF-8.
std::string NormalizeText(std::string_view text);

}  // namespace stepcast

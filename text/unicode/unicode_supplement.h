#pragma once
// Characters that Unicode 15.1 to 17 added, which ICU 72 does not know yet.

#include "text/unicode/unicode.h"

namespace stepcast {

// The class of a character that Unicode 15.0 does not assign, by Unicode 16; kOther for what 16 does not assign either.
CharacterClass ClassifyNewer(char32_t character);

// The lower case of a character that Unicode 15.0 does not assign, by Unicode 17; itself where there is none.
char32_t LowercaseNewer(char32_t character);

}  // namespace stepcast

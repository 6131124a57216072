#pragma once
// What the regular expressions of prompt languages mean by space, word and number: Python's \s, \w and \d.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace stepcast {

bool IsPromptSpace(char32_t character);

// Letters, numbers and "_".
bool IsPromptWord(char32_t character);

// Where the white space ends that begins at `position`.
size_t SkipSpace(std::string_view text, size_t position);

// Where the white space begins that ends at `end`; not before `lowest`.
size_t SpaceBefore(std::string_view text, size_t lowest, size_t end);

// Where `word`, made of ASCII letters, stands next to no other word character, at `from` or behind it; npos: nowhere.
size_t FindWord(std::string_view text, std::string_view word, size_t from);

// A sign, digits of any script and dots: the spelling of a number or nearly.
struct NumberRun {
  std::string digits;                   // in ASCII
  size_t end = 0;                       // where it ends in the text
  std::optional<double> Value() const;  // nullopt: not a number, such as "." or "1.2.3"
  bool empty() const { return end == 0; }
};

// The run that begins at `position`; empty() without digits and dots. Linear in the run.
NumberRun ReadNumberRun(std::string_view text, size_t position);

}  // namespace stepcast

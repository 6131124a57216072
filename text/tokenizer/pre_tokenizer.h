#pragma once
// Splits normalised text into the words that byte-pair encoding works on.

#include <string_view>
#include <vector>

namespace stepcast {

// Appends the words of `text`, in order, as views into it. White space is between words and in none. A word is the
// first of these that matches:
//   <|startoftext|> or <|endoftext|>, which are then cut once more into "<|", the name and "|>";
//   's 't 're 've 'm 'll 'd;
//   a run of letters; one number character; a run of anything that is no space, letter or number.
// REQUIRES: valid UTF-8, as NormalizeText returns it.
void SplitWords(std::string_view text, std::vector<std::string_view>* words);

}  // namespace stepcast

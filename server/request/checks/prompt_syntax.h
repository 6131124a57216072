#pragma once
// Syntax that other programs read in prompts and this request's does not: it is painted as words.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/prompt_syntax.h"

namespace stepcast {

// A warning for each kind of such syntax in `text`, the value of `field`, with the first example: weights "(word:1.2)",
// emphasis "((word))", schedules and alternatives "[a:b:0.5]", "[a|b]", choices "{a|b}", adapters "<lora:name:0.8>",
// embeddings "embedding:name", wildcards "__name__", BREAK and AND. And one for control tokens ("<|endoftext|>"), which
// end or begin the text where the tokenizer knows them. What `syntax` reads or refuses is left out. Linear in the text.
std::vector<std::string> PromptSyntaxWarnings(absl::string_view field, absl::string_view text, PromptSyntax syntax);

}  // namespace stepcast

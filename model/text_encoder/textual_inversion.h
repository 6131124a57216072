#pragma once
// Files of textual inversion (Gal et al. 2022): vectors that were learnt to stand for a word.

#include <string>

#include "absl/status/statusor.h"
#include "core/prompt_tokens.h"

namespace stepcast::model {

// Reads a .safetensors file of one tensor, [width] or [vectors, width], or of two, clip_l and clip_g, of Stable
// Diffusion XL. The one tensor's name is the token, unless it is "emb_params". `name` is the file's without ending.
// Errors: INVALID_ARGUMENT, NOT_FOUND and others naming the file and what is wrong; UNIMPLEMENTED for pickles, which
// are never read, with the way out.
absl::StatusOr<TextualInversion> ReadTextualInversion(const std::string& path);

}  // namespace stepcast::model

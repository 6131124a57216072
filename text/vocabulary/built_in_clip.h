#pragma once
// The vocabulary of CLIP, which every Stable Diffusion checkpoint was trained with and none in one file carries.

#include <string>

#include "absl/status/statusor.h"
#include "text/vocabulary/tokenizer_config.h"
#include "text/vocabulary/vocabulary_files.h"

namespace stepcast {

// What stands where the folder of a tokenizer is asked for. CLIP's own pads with its end token; that of OpenCLIP
// (Stable Diffusion 2, the second tower of XL) with token 0, "!".
inline constexpr char kBuiltInClip[] = "built-in:clip";
inline constexpr char kBuiltInOpenClip[] = "built-in:openclip";

inline bool IsBuiltInTokenizer(const std::string& dir) { return dir == kBuiltInClip || dir == kBuiltInOpenClip; }

// The 49,408 tokens and 48,894 merges, unpacked from what is compiled in (text/clip_vocabulary).
// Errors: INTERNAL when the packed data are damaged.
absl::StatusOr<BpeModelFiles> ReadBuiltInClip();

// What the tokenizer folders of the published models say. REQUIRES: IsBuiltInTokenizer(dir).
absl::StatusOr<TokenizerConfig> BuiltInTokenizerConfig(const std::string& dir);

}  // namespace stepcast

#pragma once
// The kinds of work a tick can do.

#include <cstdint>
#include <string_view>

namespace stepcast {

enum class Phase : uint8_t {
  kEncode,   // text encoders
  kDenoise,  // one denoiser evaluation of each row
  kPreview,  // a costly preview decoder on detached copies
  kDecode,   // latents to pictures
};

// "encode", "denoise", "preview", "decode".
std::string_view PhaseName(Phase phase);

}  // namespace stepcast

#pragma once
// The kinds of work a tick can do.

#include <cstdint>
#include <string_view>

namespace stepcast {

enum class Phase : uint8_t {
  kEncode,   // text encoders
  kDenoise,  // one denoiser evaluation of each row
  kPreview,  // x0 estimates to previews: a cost, but never a tick of its own; they are made in denoise ticks
  kDecode,   // latents to pictures
};

// "encode", "denoise", "preview", "decode".
std::string_view PhaseName(Phase phase);

}  // namespace stepcast

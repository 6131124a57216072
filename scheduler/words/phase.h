#pragma once
// The kinds of work a tick can do.

#include <array>
#include <cstdint>
#include <string_view>

namespace stepcast {

enum class Phase : uint8_t {
  kEncode,         // text encoders
  kEncodePicture,  // pictures to latents, and whatever else a network reads off a picture
  kDenoise,        // one denoiser evaluation of each row
  kPreview,        // x0 estimates to previews: a cost, but never a tick of its own; they are made in denoise ticks
  kDecode,         // latents to pictures
  kUpscale,        // pictures to larger ones
};

inline constexpr std::array kPhases = {Phase::kEncode,  Phase::kEncodePicture, Phase::kDenoise,
                                       Phase::kPreview, Phase::kDecode,        Phase::kUpscale};

// Whether a job may turn out not to need it, because somebody else's is kept. Each such item of a job's work is one
// tick.
constexpr bool IsEncode(Phase phase) { return phase == Phase::kEncode || phase == Phase::kEncodePicture; }

// "encode", "encode_picture", "denoise", "preview", "decode", "upscale".
std::string_view PhaseName(Phase phase);

}  // namespace stepcast

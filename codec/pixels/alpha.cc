#include "codec/pixels/alpha.h"

#include <cstddef>
#include <optional>

namespace stepcast {
namespace {

// Weights of 16 bits that sum to one.
uint8_t Luminance(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

// Whether there is transparency, and what can be seen has one luminance.
bool IsDrawingInOneColour(const Pixels& pixels) {
  std::optional<uint8_t> seen;
  bool has_transparency = false;
  const uint8_t* const end = pixels.values.data() + pixels.values.size();
  for (const uint8_t* pixel = pixels.values.data(); pixel != end; pixel += 4) {
    has_transparency = has_transparency || pixel[3] != 255;
    if (pixel[3] == 0) continue;
    const uint8_t luminance = Luminance(pixel);
    if (seen.value_or(luminance) != luminance) return false;
    seen = luminance;
  }
  return has_transparency && seen.has_value();
}

}  // namespace

void ComposeOverWhite(std::vector<uint8_t>* pixels) {
  const size_t count = pixels->size() / 4;
  const uint8_t* from = pixels->data();
  uint8_t* to = pixels->data();  // never ahead of `from`
  for (size_t pixel = 0; pixel < count; ++pixel, from += 4) {
    const int alpha = from[3];
    for (int channel = 0; channel < 3; ++channel) {
      *to++ = static_cast<uint8_t>((from[channel] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  }
  pixels->resize(count * 3);
}

void ReduceToMask(Pixels* pixels) {
  const bool has_alpha = pixels->channels == 4;
  const bool alpha_alone = has_alpha && IsDrawingInOneColour(*pixels);
  const size_t channels = static_cast<size_t>(pixels->channels);
  const size_t count = pixels->values.size() / channels;
  const uint8_t* from = pixels->values.data();
  uint8_t* to = pixels->values.data();  // never ahead of `from`
  for (size_t pixel = 0; pixel < count; ++pixel, from += channels) {
    const uint32_t alpha = has_alpha ? from[3] : 255;
    *to++ = static_cast<uint8_t>(alpha_alone ? alpha : (Luminance(from) * alpha + 127) / 255);
  }
  pixels->values.resize(count);
  pixels->channels = 1;
}

}  // namespace stepcast

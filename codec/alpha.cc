#include "codec/alpha.h"

#include <cstddef>

namespace stepcast {

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

}  // namespace stepcast

#include "model/vae/decode_memory.h"

#include <algorithm>
#include <cstddef>

#include "model/layers/native_bfloat16.h"

namespace stepcast::model {
namespace {

constexpr double kColours = 3;
constexpr double kFloat = 4;
// Rounding to blocks, buffers of kernels, latents.
constexpr double kMargin = 1.1;
// Of a layer's own values, where a convolution may unfold them first: up to 3.8 on AVX2, by width; none on AVX-512.
constexpr double kUnfolded = 4;

// Activations of a resnet at its peak, in planes: input, its norm and the first convolution's output; or input, output
// of the shortcut, norm of the first convolution's output and the second's output.
double ResnetPlanes(double in, double out) {
  const double shortcut = in == out ? 0 : out;
  return std::max(2 * in + out, in + shortcut + 2 * out);
}

double WithColours(double planes, double element) {
  return kMargin * (planes * element + kColours * (element + kFloat));
}

}  // namespace

double ActivationBytes(c10::ScalarType dtype, c10::Device device) {
  const auto element = static_cast<double>(c10::elementSize(dtype));
  if (device.is_cuda() || dtype == c10::ScalarType::Float) return element;
  return dtype == c10::ScalarType::BFloat16 && HasNativeBfloat16() ? element : kUnfolded * element;
}

double PeakBytesPerPixel(const AutoencoderConfig& config, double element) {
  const size_t levels = config.block_out_channels.size();
  double planes = 0;  // of the full size
  double in = static_cast<double>(config.block_out_channels.back());
  double share = 1.0;  // pixels of a level in those of the picture
  for (size_t i = 1; i < levels; ++i) share /= 4;
  // Attention: input, its norm and tokens, q, k and v, and what comes out.
  if (config.mid_block_add_attention) planes = 8 * in * share;
  for (size_t i = 0; i < levels; ++i) {
    const auto out = static_cast<double>(config.block_out_channels[levels - 1 - i]);
    planes = std::max({planes, ResnetPlanes(in, out) * share, ResnetPlanes(out, out) * share});
    if (i + 1 < levels) {
      share *= 4;
      // What is enlarged, enlarged, convolved.
      planes = std::max(planes, (out / 4 + 2 * out) * share);
    } else {
      planes = std::max(planes, 2 * out);
    }
    in = out;
  }
  return WithColours(planes, element);
}

double PeakBytesPerPixel(const AutoencoderTinyConfig& config, double element) {
  const auto width = static_cast<double>(config.decoder_width);
  // A block holds its input, a state and the next; before it the picture was enlarged and convolved.
  return WithColours(3 * width, element);
}

}  // namespace stepcast::model

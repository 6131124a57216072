#include "engine/codecs/picture.h"

#include <ATen/ops/isfinite.h>

#include <cstdint>
#include <utility>

namespace stepcast::engine {

std::vector<SharedImage> ToImages(const at::Tensor& pictures) {
  const c10::Device host(c10::DeviceType::CPU);
  const at::Tensor finite = at::isfinite(pictures).flatten(1).all(1).to(host);
  const at::Tensor bytes = pictures.mul(0.5)
                               .add_(0.5)
                               .nan_to_num_(0.0)
                               .clamp_(0.0, 1.0)
                               .mul_(255.0)
                               .round_()
                               .to(c10::ScalarType::Byte)
                               .permute({0, 2, 3, 1})
                               .contiguous()
                               .to(host);
  const int64_t height = bytes.size(1);
  const int64_t width = bytes.size(2);
  const int64_t size = height * width * 3;
  std::vector<SharedImage> images;
  for (int64_t i = 0; i < bytes.size(0); ++i) {
    if (!finite.data_ptr<bool>()[i]) {
      images.push_back(nullptr);
      continue;
    }
    Image image = {.width = static_cast<int>(width), .height = static_cast<int>(height), .pixels = {}};
    const uint8_t* pixels = bytes.data_ptr<uint8_t>() + i * size;
    image.pixels.assign(pixels, pixels + size);
    images.push_back(std::make_shared<const Image>(std::move(image)));
  }
  return images;
}

}  // namespace stepcast::engine

// Bytes of a client, read as a picture and as a mask: what is refused has a reason, what is read has the size that its
// header told, and fits the limits.
//
// tests/fuzz/run_fuzz.sh picture builds this with libFuzzer and the address sanitizer, and runs it from the committed
// corpus.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/files/image_codec.h"
#include "codec/files/picture_header.h"
#include "core/error_reason.h"

namespace stepcast {
namespace {

// Small, so that an input takes no time however large it says it is.
constexpr DecodeLimits kLimits = {.max_bytes = 65536, .max_pixels = 16384, .max_side = 512};

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckRefusal(const absl::Status& refusal) {
  Check(absl::IsInvalidArgument(refusal) && ErrorReason(refusal).has_value() && refusal.message().size() < 200);
}

void TryPicture(std::string_view bytes) {
  const absl::StatusOr<PictureHeader> header = ReadPictureHeader(bytes, kLimits);
  const absl::StatusOr<Image> image = DecodeImage(bytes, kLimits);
  const absl::StatusOr<Mask> mask = DecodeMask(bytes, kLimits);
  Check(image.ok() == mask.ok());
  if (!header.ok()) {
    CheckRefusal(header.status());
    Check(!image.ok());
  }
  if (!image.ok()) return CheckRefusal(image.status());
  Check(image->width == header->upright_width() && image->height == header->upright_height());
  Check(image->width >= 1 && image->height >= 1 && int64_t{image->width} * image->height <= kLimits.max_pixels);
  Check(image->pixels.size() == static_cast<size_t>(image->width) * static_cast<size_t>(image->height) * 3);
  Check(mask->values.size() * 3 == image->pixels.size());
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryPicture({reinterpret_cast<const char*>(data), size});
  return 0;
}

#pragma once
// From pixels to the files that go on the wire. Called on codec threads only.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/generation_request.h"
#include "core/image.h"

namespace stepcast {

// A picture as a file, and what is told about it.
struct EncodedPicture {
  std::string data;
  std::string_view mime;  // "image/png"
  int width = 0;          // pixels
  int height = 0;         // pixels
  int64_t seed = 0;       // of this picture alone; 0 for previews
  std::string sha256;     // of `data`, 64 hex digits; "" for previews
};

// Encodes the finished picture `image_index` of `request` as request.output wants it; what was painted of a part is
// pasted back first. Errors: those of EncodeImage.
absl::StatusOr<EncodedPicture> EncodePicture(const Image& image, const GenerationRequest& request, int image_index);

// Encodes an unfinished picture as request.preview wants it: never larger than the picture or than max_side.
// Errors: those of EncodeImage.
absl::StatusOr<EncodedPicture> EncodePreview(const Image& image, const GenerationRequest& request);

}  // namespace stepcast

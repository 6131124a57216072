#include "server/request/pictures/picture_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace stepcast {

int64_t PictureFiles::bytes() const {
  int64_t sum = 0;
  for (const PictureFile& file : files) sum += static_cast<int64_t>(file.bytes.size());
  return sum;
}

const PictureFile* PictureFiles::Find(absl::string_view field) const {
  const auto file =
      std::find_if(files.begin(), files.end(), [field](const PictureFile& other) { return other.field == field; });
  return file == files.end() ? nullptr : &*file;
}

PictureFile* PictureFiles::Find(absl::string_view field) {
  return const_cast<PictureFile*>(std::as_const(*this).Find(field));
}

PictureFiles HeadersOf(const PictureFiles& pictures) {
  PictureFiles headers;
  for (const PictureFile& file : pictures.files) headers.files.push_back({file.field, "", file.header});
  return headers;
}

std::string ControlImage(int index) { return absl::StrCat("control[", index, "].image"); }

PictureFiles TakePictures(v1::GenerateRequest& request, const InputPictureLimits& limits) {
  PictureFiles pictures;
  const DecodeLimits decode_limits = ToDecodeLimits(limits);
  const auto take = [&](std::string field, std::string& bytes) {
    absl::StatusOr<PictureHeader> header = ReadPictureHeader(bytes, decode_limits);
    pictures.files.push_back({std::move(field), std::move(bytes), std::move(header)});
    bytes.clear();
  };
  if (request.has_init_image()) take(kInitImage, *request.mutable_init_image());
  if (request.has_mask_image()) take(kMaskImage, *request.mutable_mask_image());
  // More than these are refused for their number.
  const int controls = std::min(request.control_size(), limits.max_control);
  for (int i = 0; i < controls; ++i) {
    if (!request.control(i).image().empty()) take(ControlImage(i), *request.mutable_control(i)->mutable_image());
  }
  return pictures;
}

DecodeLimits ToDecodeLimits(const InputPictureLimits& limits) {
  return {
      .max_bytes = static_cast<size_t>(limits.max_bytes), .max_pixels = limits.max_pixels, .max_side = limits.max_side};
}

}  // namespace stepcast

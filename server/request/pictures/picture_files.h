#pragma once
// The pictures that a request brought, before they are decoded.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "codec/files/image_codec.h"
#include "codec/files/picture_header.h"
#include "server/config/limits_config.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

struct PictureFile {
  std::string field;                     // "control[1].image"
  std::string bytes;                     // the file; empty once it was decoded
  absl::StatusOr<PictureHeader> header;  // or what is wrong with it
};

struct PictureFiles {
  std::vector<PictureFile> files = {};

  bool empty() const { return files.empty(); }
  int64_t bytes() const;

  // nullptr where `field` holds none. Stays valid while `files` does not grow.
  PictureFile* Find(absl::string_view field);
  const PictureFile* Find(absl::string_view field) const;
};

// Without the bytes.
PictureFiles HeadersOf(const PictureFiles& pictures);

// The fields that hold pictures, by name.
inline constexpr char kInitImage[] = "init_image";
inline constexpr char kMaskImage[] = "mask_image";
std::string ControlImage(int index);

// Moves the pictures out of `request`, where the fields stay set and become empty, and reads their headers.
PictureFiles TakePictures(v1::GenerateRequest& request, const InputPictureLimits& limits);

DecodeLimits ToDecodeLimits(const InputPictureLimits& limits);

}  // namespace stepcast

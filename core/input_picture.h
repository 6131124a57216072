#pragma once
// Pictures that came with a request, decoded and brought to the size in which they are needed.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image.h"

namespace stepcast {

// A picture that came with a request: decoded, upright, RGB, of the size in which it is needed.
struct InputPicture {
  SharedImage image = {};   // null: none
  std::string sha256 = {};  // 64 hex digits over width, height and pixels: equal pictures are encoded once
};

// One byte a pixel, rows top to bottom: 0 keeps, 255 repaints, what lies between shares.
struct Mask {
  int width = 0;   // pixels
  int height = 0;  // pixels
  std::vector<uint8_t> values = {};
};
using SharedMask = std::shared_ptr<const Mask>;

// What stands where the mask repaints when the first step begins.
enum class InpaintFill {
  kOriginal,  // the picture
  kNoise,     // noise alone
};

// Where what is kept is put back.
enum class BlendDomain {
  kLatents,  // into the noisy latents after every step, as diffusers does
  kX0,       // into the prediction of the finished picture, as A1111 and ComfyUI do
};

struct Inpainting {
  SharedMask mask = {};  // of the request's width x height, after inversion and blur; never null
  InpaintFill fill = InpaintFill::kOriginal;
  BlendDomain blend_domain = BlendDomain::kLatents;
  bool differential = false;  // grey values say from which step on a cell is repainted
};

// A picture that a ControlNet follows.
struct ControlInput {
  std::string model = {};                // id of a ControlNet that the server lists
  InputPicture image = {};               // of the request's width x height
  double scale = 1.0;                    // 0..2, finite
  double start = 0.0;                    // fraction of the steps
  double end = 1.0;                      // fraction of the steps, at least `start`
  std::optional<int> control_type = {};  // union nets alone
  bool guess_mode = false;
};

// How a picture is brought to the request's size.
enum class ResizeMode {
  kExact,    // it has it already, but for what exceeds the model's multiple
  kFit,      // all of it is kept; what is missing repeats its edges
  kCover,    // all of the request's size is covered; what protrudes is cut off
  kStretch,  // width and height by themselves
};

// What is told of a picture that was sent, instead of its bytes.
struct SentPicture {
  std::string field = {};   // "control[1].image"
  std::string sha256 = {};  // 64 hex digits over the file as it was sent
  int width = 0;            // pixels, upright, before resizing
  int height = 0;           // pixels

  friend bool operator==(const SentPicture&, const SentPicture&) = default;
};

// What was asked about the mask beside what Inpainting holds: already applied, kept to be told.
struct MaskSettings {
  double blur = 0.0;  // standard deviation, pixels of the mask as sent
  bool only_masked = false;
  int padding = 32;  // pixels of the picture as sent
  bool invert = false;
  int whole_width = 0;  // of init_image as sent, and so of the finished picture, where only_masked
  int whole_height = 0;
};

// Of a request with only_masked: a part of `original` was cut out and enlarged to the request's size; what is painted
// is shrunk and pasted back.
struct PasteBack {
  SharedImage original = {};  // never null
  SharedMask mask = {};       // of the size of `original`, blurred: 0 keeps the original's bytes
  int left = 0;               // of the part, pixels of `original`
  int top = 0;
  int width = 0;
  int height = 0;
};

}  // namespace stepcast

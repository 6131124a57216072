#pragma once
// What is done to masks: softening, finding what they hold, and putting a painted part back under one.

#include <optional>

#include "codec/pixels/pixels.h"
#include "core/image.h"
#include "core/input_picture.h"

namespace stepcast {

// 0 becomes 255.
void InvertMask(Mask* mask);

// A Gaussian of standard deviation `sigma`, 0..64, cut off at int(2.5 sigma + 0.5) pixels: rows, then columns, each
// rounded to 8 bits; beyond the border the mask is mirrored. What lies farther from the mask stays 0.
void BlurMask(Mask* mask, double sigma);

// The smallest part that holds all that is not 0; nullopt when nothing is.
std::optional<Region> BoundsOf(const Mask& mask);

// What a part is cut out for.
struct CropWish {
  int padding = 0;  // pixels around the bounds
  int width = 0;    // the aspect ratio to have
  int height = 0;
};

// `bounds` with `wish.padding` around it, then widened or heightened to the aspect ratio around its middle, and moved
// so that it lies within a picture of `picture_width` x `picture_height`; cut off where the picture is smaller than
// that.
Region CropRegion(const Region& bounds, const CropWish& wish, int picture_width, int picture_height);

// The original with what was painted in its part: shrunk or enlarged to the part (kCover) and mixed by the mask; where
// the mask is 0 the original's bytes. REQUIRES: `place` is consistent, `painted` has at least one pixel.
Image Paste(const PasteBack& place, const Image& painted);

}  // namespace stepcast

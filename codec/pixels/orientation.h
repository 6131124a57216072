#pragma once
// How a camera held a picture: EXIF's tag Orientation.

#include <string_view>

#include "codec/pixels/pixels.h"

namespace stepcast {

// 1..8 as EXIF counts them: 1 upright, 2 mirrored, 3 upside down, 4 mirrored upside down, 5 .. 8 with sides exchanged.
using Orientation = int;
inline constexpr Orientation kUpright = 1;

// The orientation in `exif`, a TIFF structure that may begin with "Exif\0\0"; kUpright where it tells none or makes no
// sense. Looks at the first directory alone.
Orientation OrientationOf(std::string_view exif);

// Whether width and height change places.
constexpr bool ExchangesSides(Orientation orientation) { return orientation >= 5; }

// `pixels`, which were stored with `orientation`, upright.
Pixels Upright(Pixels pixels, Orientation orientation);

}  // namespace stepcast

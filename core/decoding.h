#pragma once
// How a model's latents become pictures: in one piece or in tiles, and what that needs of memory.

#include <cstdint>
#include <optional>
#include <string_view>

namespace stepcast {

// When the decoder works tile by tile. Tiles change pixels, so that it is a matter of the picture's size alone, never
// of what is free.
enum class VaeTiling { kAuto, kOn, kOff };

// "auto", "on", "off".
std::string_view VaeTilingName(VaeTiling tiling);
std::optional<VaeTiling> VaeTilingFromName(std::string_view name);

// The most that a card may say.
inline constexpr int64_t kMostTilingPixels = int64_t{1} << 40;

// What shows unfinished pictures.
enum class PreviewKind {
  kLinear,   // one matrix: a pixel per latent cell
  kNetwork,  // a small decoder
  kNone,
};

// Pixels above which kAuto means tiles, unless a card says otherwise: half as many again as Stable Diffusion XL paints.
inline constexpr int64_t kDefaultTilingPixels = 3 * (1024 * 1024 / 2);

struct Decoding {
  int tile_side = 0;  // pixels; 0: it cannot be tiled
  VaeTiling tiling = VaeTiling::kAuto;
  int64_t tiling_pixels = kDefaultTilingPixels;
  double bytes_per_pixel = 0.0;  // of what it decodes at once, at its peak; 0: not known
  int64_t max_bytes = 0;         // that one decode may take; 0: not known
  PreviewKind preview = PreviewKind::kLinear;
  int preview_scale = 1;  // pixels of a preview per latent cell

  friend bool operator==(const Decoding&, const Decoding&) = default;
};

// Whether tiles make a difference: the picture is larger than one.
bool CanTile(const Decoding& decoding, int width, int height);

// What a request gets that says nothing.
bool TilesByDefault(const Decoding& decoding, int width, int height);

// The peak of one decode of a picture, from latents to 8-bit pixels; 0: not known.
int64_t DecodeBytes(const Decoding& decoding, int width, int height, bool tiled);

}  // namespace stepcast

// Whether and how a picture can be decoded.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/decoding.h"
#include "server/request/checks/request_checks.h"

namespace stepcast {
namespace {

constexpr int64_t kMib = 1 << 20;

// "12 MiB", rounded up.
std::string Mib(int64_t bytes) { return absl::StrCat((bytes + kMib - 1) / kMib, " MiB"); }

void CheckTiling(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const Decoding& decoding = context.info().decoding;
  const bool asked = context.wire.has_vae_tiling() && context.wire.vae_tiling();
  if (asked && decoding.tile_side == 0) {
    return violations.Add("vae_tiling", "true", absl::StrCat("unset (", context.info().id, " has no tiles)"));
  }
  const bool can = CanTile(decoding, resolved.width, resolved.height);
  if (asked && !can) {
    resolved.warnings.push_back(absl::StrCat("vae_tiling has no effect: the picture is not larger than a tile of ",
                                             decoding.tile_side, " pixels"));
  }
  resolved.vae_tiling =
      can && (context.wire.has_vae_tiling() ? asked : TilesByDefault(decoding, resolved.width, resolved.height));
}

}  // namespace

void CheckDecoding(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  CheckTiling(context, resolved, violations);
  if (violations.Has("width") || violations.Has("height")) return;
  const Decoding& decoding = context.info().decoding;
  const int width = resolved.width;
  const int height = resolved.height;
  const int64_t needed = DecodeBytes(decoding, width, height, resolved.vae_tiling);
  if (decoding.max_bytes == 0 || needed <= decoding.max_bytes) return;
  const bool tiles_would_do = !resolved.vae_tiling && CanTile(decoding, width, height) &&
                              DecodeBytes(decoding, width, height, /*tiled=*/true) <= decoding.max_bytes;
  violations.Add("width",
                 absl::StrCat(width, " x height ", height, ", which needs ", Mib(needed), " of memory to be decoded"),
                 absl::StrCat("at most ", decoding.max_bytes / kMib, " MiB, see Model.decoding of GetModel; ",
                              tiles_would_do ? "vae_tiling needs less" : "smaller pictures need less"));
}

}  // namespace stepcast

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/request/checks/picture_checks.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {
namespace {

constexpr absl::string_view kFormats = "IMAGE_FORMAT_PNG, IMAGE_FORMAT_JPEG, IMAGE_FORMAT_WEBP";

// One side of the picture; the default when it is wrong.
int CheckSide(const RequestContext& context, absl::string_view field, int asked, int unset,
              FieldViolations& violations) {
  const ModelLimits& limits = context.model_limits;
  if (asked >= limits.min_side && asked <= limits.max_side && asked % limits.size_multiple == 0) return asked;
  violations.Add(field, absl::StrCat(asked),
                 absl::StrCat("a multiple of ", limits.size_multiple, " in ", limits.min_side, "..", limits.max_side,
                              ", see ModelLimits of GetModel"));
  return unset;
}

// Where the request says nothing of its size and a picture does, that is the default; of a picture that cannot be it is
// the one thing to be told.
void TakePictureSize(const RequestContext& context, ModelDefaults& defaults, FieldViolations& violations) {
  std::string field;
  const std::optional<PictureHeader> picture = SizeGivingPicture(context, &field);
  const bool whole = !context.wire.has_width() && !context.wire.has_height();
  if (!picture.has_value() || (context.wire.has_width() && context.wire.has_height())) return;
  const ModelLimits& limits = context.model_limits;
  const int width = picture->upright_width() - picture->upright_width() % limits.size_multiple;
  const int height = picture->upright_height() - picture->upright_height() % limits.size_multiple;
  const bool fits = std::min(width, height) >= limits.min_side && std::max(width, height) <= limits.max_side &&
                    int64_t{width} * height <= limits.max_area;
  if (fits) {
    defaults.width = width;
    defaults.height = height;
  } else if (whole) {
    violations.Add(field, absl::StrCat(picture->upright_width(), "x", picture->upright_height(), " pixels"),
                   absl::StrCat("sides of ", limits.min_side, "..", limits.max_side, " and ", limits.max_area,
                                " pixels in all, see ModelLimits of GetModel; or any with another resize_mode"));
  }
}

ImageFormat CheckFormat(absl::string_view field, v1::ImageFormat wire, ImageFormat unset, FieldViolations& violations) {
  if (!v1::ImageFormat_IsValid(wire)) violations.Add(field, absl::StrCat(static_cast<int>(wire)), kFormats);
  return FromProto(wire).value_or(unset);
}

void CheckPreviewCount(const RequestContext& context, int every_n_steps, const GenerationRequest& resolved,
                       FieldViolations& violations) {
  const int max_previews = context.limits.max_previews_per_image;
  const int count = PreviewCount(resolved.steps, every_n_steps);
  if (count <= max_previews || violations.Has("steps")) return;
  violations.Add(
      "preview.every_n_steps", absl::StrCat(every_n_steps, ", which makes ", count, " previews of a picture"),
      absl::StrCat("at least ", SmallestPreviewInterval(resolved.steps, max_previews), " with ", resolved.steps,
                   " steps, for at most ", max_previews, ", see ServerLimits.max_previews_per_image of GetServerInfo"));
}

void CheckPreview(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::PreviewOptions& wire = context.wire.preview();
  PreviewOptions preview;
  preview.format = CheckFormat("preview.format", wire.format(), ImageFormat::kJpeg, violations);
  const Decoding& decoding = context.info().decoding;
  if (decoding.preview == PreviewKind::kNone) {
    return violations.Add("preview", "a message", absl::StrCat("unset (", context.info().id, " shows no previews)"));
  }
  preview.max_side = std::max(resolved.latent_width(), resolved.latent_height()) * decoding.preview_scale;
  if (wire.has_max_side() &&
      violations.CheckRange("preview.max_side", wire.max_side(), 1, context.limits.max_preview_side,
                            "ServerLimits.max_preview_side of GetServerInfo")) {
    preview.max_side = wire.max_side();
  }
  preview.max_side =
      std::min({preview.max_side, context.limits.max_preview_side, std::max(resolved.width, resolved.height)});
  if (!wire.has_every_n_steps() || wire.every_n_steps() < 1) {
    violations.Add("preview.every_n_steps", wire.has_every_n_steps() ? absl::StrCat(wire.every_n_steps()) : "nothing",
                   "at least 1; leave `preview` unset for no previews");
  } else {
    CheckPreviewCount(context, wire.every_n_steps(), resolved, violations);
    preview.every_n_steps = wire.every_n_steps();
  }
  resolved.preview = preview;
}

}  // namespace

void CheckSize(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::GenerateRequest& wire = context.wire;
  ModelDefaults defaults = context.info().defaults;
  TakePictureSize(context, defaults, violations);
  resolved.width =
      CheckSide(context, "width", wire.has_width() ? wire.width() : defaults.width, defaults.width, violations);
  resolved.height =
      CheckSide(context, "height", wire.has_height() ? wire.height() : defaults.height, defaults.height, violations);
  const int64_t area = int64_t{resolved.width} * resolved.height;
  if (area <= context.model_limits.max_area || violations.Has("width") || violations.Has("height")) return;
  violations.Add(
      "width", absl::StrCat(resolved.width, " x height ", resolved.height, " = ", area, " pixels"),
      absl::StrCat("width x height at most ", context.model_limits.max_area, ", see ModelLimits.max_area of GetModel"));
}

void CheckOutput(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const v1::OutputOptions& wire = context.wire.output();
  OutputOptions output;
  output.format = CheckFormat("output.format", wire.format(), ImageFormat::kPng, violations);
  if (wire.has_quality()) {
    if (output.format == ImageFormat::kPng) {
      violations.Add("output.quality", absl::StrCat(wire.quality()), "unset, because PNG is lossless");
    } else if (violations.CheckRange("output.quality", wire.quality(), 1, 100)) {
      output.quality = wire.quality();
    }
  }
  output.embed_parameters = wire.embed_parameters();
  resolved.output = output;
  if (context.wire.has_preview()) CheckPreview(context, resolved, violations);
}

int PreviewCount(int steps, int every_n_steps) { return (steps - 1) / every_n_steps; }

int SmallestPreviewInterval(int steps, int max_previews) { return (steps - 1) / (max_previews + 1) + 1; }

}  // namespace stepcast

// How a request's picture is begun with.

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/shortest_number.h"
#include "server/request/checks/picture_checks.h"

namespace stepcast {
namespace {

constexpr double kMaxImageGuidance = 30.0;

void CheckStrength(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const ModelInfo& info = context.info();
  // As diffusers' pipelines: models that are told what is kept begin from noise unless they are asked not to.
  if (info.image_input == ImageInput::kMaskAndPicture) resolved.strength = 1.0;
  if (!context.wire.has_strength()) return;
  const double strength = context.wire.strength();
  const auto refuse = [&](absl::string_view allowed) { violations.Add("strength", ShortestNumber(strength), allowed); };
  if (!context.wire.has_init_image()) return refuse("unset without init_image");
  if (info.image_input == ImageInput::kPicture) {
    return refuse(absl::StrCat("unset (", info.id, " begins with noise; see image_guidance_scale)"));
  }
  if (context.wire.invert()) return refuse("unset beside invert, which runs all steps");
  if (!(strength > 0.0 && strength <= 1.0)) return refuse("above 0, at most 1");
  resolved.strength = strength;
}

// The least strength that leaves a step; 1 / steps may be rounded to less.
double LeastStrength(int steps) {
  double least = 1.0 / steps;
  while (static_cast<int>(steps * least) < 1) least = std::nextafter(least, 1.0);
  return least;
}

// Enough for a step, as the samplers count.
void CheckStepsLeft(const RequestContext& context, const GenerationRequest& resolved, FieldViolations& violations) {
  if (!context.wire.has_init_image() || context.wire.invert() || violations.Has("strength") ||
      violations.Has("steps") || context.info().image_input == ImageInput::kPicture) {
    return;
  }
  if (static_cast<int>(resolved.steps * resolved.strength) >= 1) return;
  violations.Add(
      "strength",
      absl::StrCat(ShortestNumber(resolved.strength), ", which leaves none of ", resolved.steps, " steps to run"),
      absl::StrCat("at least ", ShortestNumber(LeastStrength(resolved.steps)), " with so many steps"));
}

void CheckInvert(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  if (!context.wire.invert()) return;
  const ModelInfo& info = context.info();
  if (!context.wire.has_init_image()) return violations.Add("invert", "true", "unset without init_image");
  if (info.image_input != ImageInput::kNone) {
    return violations.Add("invert", "true", absl::StrCat("unset (", info.id, " reads pictures in every step)"));
  }
  if (context.wire.has_mask_image()) return violations.Add("invert", "true", "unset beside mask_image");
  resolved.invert = true;
}

}  // namespace

void CheckImageToImage(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  CheckStrength(context, resolved, violations);
  CheckStepsLeft(context, resolved, violations);
  CheckInvert(context, resolved, violations);
  if (!context.wire.has_image_guidance_scale()) return;
  const double scale = context.wire.image_guidance_scale();
  if (context.info().image_input != ImageInput::kPicture) {
    violations.Add("image_guidance_scale", ShortestNumber(scale),
                   absl::StrCat("unset (", context.info().id, " is not told what to change in a picture)"));
  } else if (violations.CheckReal("image_guidance_scale", scale, 0.0, kMaxImageGuidance)) {
    resolved.image_guidance_scale = scale;
  }
}

}  // namespace stepcast

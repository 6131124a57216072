#include "absl/strings/str_cat.h"
#include "core/shortest_number.h"
#include "sampling/compile/compile.h"
#include "server/request/checks/request_checks.h"
#include "server/wire/proto_enums.h"

namespace stepcast {

void CheckClassifierGuidance(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  if (!context.wire.has_classifier_scale()) return;
  const double scale = context.wire.classifier_scale();
  if (!context.info().has_classifier) {
    violations.Add("classifier_scale", ShortestNumber(scale),
                   absl::StrCat("unset, because ", context.info().id, " has no classifier"));
    return;
  }
  if (!violations.CheckReal("classifier_scale", scale, 0.0, sampling::kMaxClassifierScale)) return;
  if (scale > 0.0 && !resolved.class_index.has_value()) {
    if (violations.Has("class_index") || violations.Has("class_label")) return;
    violations.Add("classifier_scale", ShortestNumber(scale), "0 without class_index or class_label");
    return;
  }
  resolved.classifier_scale = scale;
}

}  // namespace stepcast

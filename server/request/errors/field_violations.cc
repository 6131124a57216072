#include "server/request/errors/field_violations.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/error_reason.h"
#include "core/shortest_number.h"

namespace stepcast {

void FieldViolations::Add(absl::string_view field, absl::string_view got, absl::string_view allowed) {
  if (violations_.size() == kMaxListed) {
    ++unlisted_;
    return;
  }
  violations_.push_back({std::string(field), absl::StrCat("got ", got, "; allowed: ", allowed)});
}

void FieldViolations::AddPicture(absl::string_view field, const absl::Status& problem) {
  if (pictures_++ == 0) picture_reason_ = ErrorReason(problem).value_or("");
  violations_.push_back({std::string(field), std::string(problem.message())});
}

void FieldViolations::AddUnknown(absl::string_view prefix, int number) {
  if (unknown_ == kMaxUnknownListed) {
    ++unlisted_;
    return;
  }
  const std::string field = absl::StrCat(prefix, "field ", number);
  if (Has(field)) return;
  ++unknown_;
  Add(field, "a value", "unset: this version of the server has no such field");
}

bool FieldViolations::CheckRange(absl::string_view field, int64_t value, int64_t min, int64_t max,
                                 absl::string_view source) {
  if (value >= min && value <= max) return true;
  Add(field, absl::StrCat(value), absl::StrCat(min, "..", max, source.empty() ? "" : ", see ", source));
  return false;
}

bool FieldViolations::CheckReal(absl::string_view field, double value, double min, double max) {
  if (std::isfinite(value) && value >= min && value <= max) return true;
  Add(field, ShortestNumber(value), absl::StrCat(min, "..", max));
  return false;
}

bool FieldViolations::Has(absl::string_view field) const {
  return std::any_of(violations_.begin(), violations_.end(),
                     [field](const FieldViolation& violation) { return violation.field == field; });
}

absl::Status FieldViolations::ToStatus() const {
  if (empty()) return absl::OkStatus();
  ErrorDetails details{.reason = v1::ERROR_REASON_FIELD_INVALID};
  details.violations = violations_;
  v1::ErrorReason reason = details.reason;
  const bool pictures_alone = pictures_ == violations_.size() && unlisted_ == 0;
  if (pictures_alone && v1::ErrorReason_Parse(absl::StrCat("ERROR_REASON_", picture_reason_), &reason)) {
    details.reason = reason;
    details.metadata.emplace_back("field", violations_.front().field);
  }
  const auto line = [](std::string* out, const FieldViolation& violation) {
    absl::StrAppend(out, violation.field, ": ", violation.description);
  };
  details.message = absl::StrJoin(violations_, " | ", line);
  details.violations_left_out = unlisted_;
  const int64_t all = static_cast<int64_t>(violations_.size()) + unlisted_;
  if (all > 1) details.message = absl::StrCat(all, " fields: ", details.message);
  details.metadata.emplace_back("fields", absl::StrJoin(violations_, ",", [](std::string* out, const auto& violation) {
                                  absl::StrAppend(out, violation.field);
                                }));
  return MakeError(details);
}

}  // namespace stepcast

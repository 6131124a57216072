#pragma once
// Collects what is wrong with a request, so that a client hears it all at once.

#include <cstdint>
#include <string>
#include <vector>
#include "absl/strings/string_view.h"

#include "absl/status/status.h"
#include "server/request/status_mapping.h"

namespace stepcast {

class FieldViolations {
 public:
  // Becomes "<field>: got <got>; allowed: <allowed>". `allowed` also says where to list allowed values.
  void Add(absl::string_view field, absl::string_view got, absl::string_view allowed);

  // Adds a violation unless `value` is within [min, max]; returns whether it is. `source` tells who sets the bounds:
  // "ModelLimits.max_steps of GetModel"; "" for bounds of the API itself.
  bool CheckRange(absl::string_view field, int64_t value, int64_t min, int64_t max, absl::string_view source = "");

  // As CheckRange. What is not finite is outside of every range.
  bool CheckReal(absl::string_view field, double value, double min, double max);

  // Whether something is wrong with `field`.
  bool Has(absl::string_view field) const;

  bool empty() const { return violations_.empty(); }
  const std::vector<FieldViolation>& violations() const { return violations_; }

  // OK when empty, else FIELD_INVALID.
  absl::Status ToStatus() const;

 private:
  std::vector<FieldViolation> violations_;
};

}  // namespace stepcast

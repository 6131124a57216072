#pragma once
// Collects what is wrong with a request, so that a client hears it all at once.
//
// However much is wrong, memory and the cost of each call are bounded: the first kMaxListed entries are kept, the rest
// is counted.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/request/errors/status_mapping.h"

namespace stepcast {

// What came, for an enum field: the value's name or, when it has none, its number.
template <typename Wire>
std::string EnumName(const std::string& name, Wire value) {
  return name.empty() ? absl::StrCat(static_cast<int>(value)) : name;
}

class FieldViolations {
 public:
  static constexpr size_t kMaxListed = 100;       // more than the contract has fields
  static constexpr size_t kMaxUnknownListed = 8;  // of fields that this server does not know

  // Becomes "<field>: got <got>; allowed: <allowed>". `allowed` also says where to list allowed values.
  void Add(absl::string_view field, absl::string_view got, absl::string_view allowed);

  // What is wrong with the picture of `field`, as the codec says it, reason included.
  void AddPicture(absl::string_view field, const absl::Status& problem);

  // Adds a violation unless `value` is within [min, max]; returns whether it is. `source` tells who sets the bounds:
  // "ModelLimits.max_steps of GetModel"; "" for bounds of the API itself.
  bool CheckRange(absl::string_view field, int64_t value, int64_t min, int64_t max, absl::string_view source = "");

  // As CheckRange. What is not finite is outside of every range.
  bool CheckReal(absl::string_view field, double value, double min, double max);

  // One value of a field that this server does not know, "preview.field 99". Different ones are listed up to
  // kMaxUnknownListed.
  void AddUnknown(absl::string_view prefix, int number);

  // Whether a listed entry says that something is wrong with `field`.
  bool Has(absl::string_view field) const;

  bool empty() const { return violations_.empty(); }
  const std::vector<FieldViolation>& violations() const { return violations_; }
  int64_t unlisted() const { return unlisted_; }

  // OK when empty, else FIELD_INVALID; where pictures alone are wrong, the reason of the first: IMAGE_UNDECODABLE or
  // IMAGE_TOO_LARGE, with its name as metadata `field`.
  absl::Status ToStatus() const;

 private:
  std::vector<FieldViolation> violations_;
  size_t pictures_ = 0;         // of them AddPicture's
  std::string picture_reason_;  // of the first of those
  size_t unknown_ = 0;          // of them for fields that this server does not know
  int64_t unlisted_ = 0;        // beyond those
};

}  // namespace stepcast

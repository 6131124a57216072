#include "model/single_file/tensor_listing.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace stepcast::model {

TensorListing::TensorListing(const SafetensorsHeader& header) : metadata_(header.metadata) {
  for (const TensorEntry& entry : header.tensors) tensors_.emplace(Unwrapped(entry.name), &entry);
}

absl::string_view TensorListing::Unwrapped(absl::string_view name) { return absl::StripPrefix(name, "state_dict."); }

const TensorEntry* TensorListing::Find(absl::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

bool TensorListing::HasPrefix(absl::string_view prefix) const {
  const auto found = tensors_.lower_bound(prefix);
  return found != tensors_.end() && absl::StartsWith(found->first, prefix);
}

int64_t TensorListing::Dim(absl::string_view name, size_t axis) const {
  const TensorEntry* entry = Find(name);
  return entry != nullptr && axis < entry->shape.size() ? entry->shape[axis] : 0;
}

int64_t TensorListing::Count(absl::string_view prefix) const {
  constexpr size_t kMaxDigits = 3;
  int64_t count = 0;
  for (auto at = tensors_.lower_bound(prefix); at != tensors_.end(); ++at) {
    absl::string_view rest = at->first;
    if (!absl::ConsumePrefix(&rest, prefix)) break;
    int64_t number = 0;
    size_t digits = 0;
    while (digits < rest.size() && digits <= kMaxDigits &&
           absl::ascii_isdigit(static_cast<unsigned char>(rest[digits])))
      number = 10 * number + (rest[digits++] - '0');
    if (digits > 0 && digits <= kMaxDigits && digits < rest.size() && rest[digits] == '.')
      count = std::max(count, number + 1);
  }
  return count;
}

std::optional<std::string> TensorListing::Metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? std::nullopt : std::optional<std::string>(found->second);
}

}  // namespace stepcast::model

#pragma once
// The names and shapes of a checkpoint's tensors, as questions about its layout ask for them. No tensor data, no torch.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "model/weights/safetensors.h"

namespace stepcast::model {

// An index over a header, which must outlive it. Names lose the wrapper level "state_dict." that some exports have.
class TensorListing {
 public:
  explicit TensorListing(const SafetensorsHeader& header);

  const TensorEntry* Find(absl::string_view name) const;
  bool Has(absl::string_view name) const { return Find(name) != nullptr; }
  bool HasPrefix(absl::string_view prefix) const;
  // Length of one axis; 0 when there is no such tensor or it has fewer axes.
  int64_t Dim(absl::string_view name, size_t axis) const;
  // One more than the largest N of the names `prefix`N.*; 0 when there is none. Numbers above 999 do not count.
  int64_t Count(absl::string_view prefix) const;

  const std::map<absl::string_view, const TensorEntry*>& tensors() const { return tensors_; }
  // The value of a key of `__metadata__`; nullopt when absent.
  std::optional<std::string> Metadata(const std::string& key) const;

  // `name` without the wrapper level.
  static absl::string_view Unwrapped(absl::string_view name);

 private:
  std::map<absl::string_view, const TensorEntry*> tensors_;
  const std::map<std::string, std::string>& metadata_;
};

}  // namespace stepcast::model

#include "core/model_info.h"

#include "absl/strings/str_cat.h"

namespace stepcast {

std::string DescribeDtypes(const ModelInfo& info) {
  std::string text = info.dtype;
  for (const ModelComponent& part : info.components) {
    if (part.compute_type != info.dtype) absl::StrAppend(&text, ", ", part.name, " ", part.compute_type);
  }
  return text;
}

}  // namespace stepcast

#include "core/lora_info.h"

#include "absl/strings/str_cat.h"

namespace stepcast {

std::string LoraKey(const ModelInfo& model, const std::string& sha256) {
  return absl::StrCat(model.id, "@", model.sha256, "@", DescribeDtypes(model), "@", sha256);
}

}  // namespace stepcast

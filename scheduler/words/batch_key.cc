#include "scheduler/words/batch_key.h"

#include "absl/strings/str_cat.h"
#include "core/string_view.h"

namespace stepcast {

std::string BatchKey::ToString() const {
  std::string text = absl::StrCat(ToAbsl(PhaseName(phase)), ":", model);
  if (phase != Phase::kEncode) absl::StrAppend(&text, ":", latent_height, "x", latent_width);
  return text;
}

}  // namespace stepcast

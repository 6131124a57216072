#include "model/text_encoder/textual_inversion.h"

#include "engine/start/engine_factory.h"

namespace stepcast {

absl::StatusOr<TextualInversion> ReadTextualInversion(const std::string& path) {
  return model::ReadTextualInversion(path);
}

}  // namespace stepcast

#include "scheduler/words/phase.h"

namespace stepcast {

std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kEncode:
      return "encode";
    case Phase::kDenoise:
      return "denoise";
    case Phase::kPreview:
      return "preview";
    case Phase::kDecode:
      return "decode";
  }
  return "unknown";
}

}  // namespace stepcast

#include "scheduler/words/phase.h"

namespace stepcast {

std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kEncode:
      return "encode";
    case Phase::kEncodePicture:
      return "encode_picture";
    case Phase::kDenoise:
      return "denoise";
    case Phase::kPreview:
      return "preview";
    case Phase::kDecode:
      return "decode";
    case Phase::kUpscale:
      return "upscale";
  }
  return "unknown";
}

}  // namespace stepcast

#include "engine/start/decode_bound.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"

namespace stepcast::engine {

absl::StatusOr<int64_t> DecodeBound(const EngineOptions& options,
                                    const std::vector<std::unique_ptr<ComputeDevice>>& devices,
                                    const TorchGuard& guard) {
  int64_t bound = options.max_decode_bytes;
  for (size_t i = 0; i < devices.size() && options.max_decode_bytes == 0; ++i) {
    int64_t free = 0;
    STEPCAST_RETURN_IF_ERROR(guard.Run("look at free memory", [&] { free = devices[i]->FreeMemory(); }));
    free /= options.replicas;
    bound = bound == 0 || free == 0 ? std::max(bound, free) : std::min(bound, free);
  }
  return bound;
}

SharedModelInfo WithDecodeBound(ModelInfo model, int64_t bound) {
  model.decoding.max_bytes = bound;
  return std::make_shared<const ModelInfo>(std::move(model));
}

}  // namespace stepcast::engine

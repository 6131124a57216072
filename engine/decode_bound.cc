#include "engine/decode_bound.h"

#include <algorithm>
#include <utility>

#include "core/status_macros.h"

namespace stepcast::engine {

absl::Status BoundDecodes(const EngineOptions& options, const std::vector<std::unique_ptr<ComputeDevice>>& devices,
                          const TorchGuard& guard, std::vector<SharedModelInfo>& models) {
  int64_t bound = options.max_decode_bytes;
  for (size_t i = 0; i < devices.size() && options.max_decode_bytes == 0; ++i) {
    int64_t free = 0;
    STEPCAST_RETURN_IF_ERROR(guard.Run("look at free memory", [&] { free = devices[i]->FreeMemory(); }));
    free /= options.replicas;
    bound = bound == 0 || free == 0 ? std::max(bound, free) : std::min(bound, free);
  }
  for (SharedModelInfo& model : models) {
    ModelInfo info = *model;
    info.decoding.max_bytes = bound;
    model = std::make_shared<const ModelInfo>(std::move(info));
  }
  return absl::OkStatus();
}

}  // namespace stepcast::engine

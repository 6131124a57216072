#pragma once
// A LoRA as jobs hold it.

#include <cstdint>
#include <memory>
#include <vector>

#include "model/lora/row_adapters.h"

namespace stepcast::engine {

// A LoRA on the device, for the layers of one model.
struct ShelvedLora {
  std::shared_ptr<const model::NetworkAdapter> denoiser;             // null: unchanged
  std::vector<std::shared_ptr<const model::NetworkAdapter>> towers;  // of each text encoder; null: unchanged
  int64_t bytes = 0;
};
using SharedLora = std::shared_ptr<const ShelvedLora>;

}  // namespace stepcast::engine

#pragma once
// The tensors of a LoRA, as the layers of one model take them.

#include <cstdint>
#include <memory>
#include <vector>

#include <c10/core/Device.h>

#include "absl/status/statusor.h"
#include "core/lora_targets.h"
#include "model/conditioner.h"
#include "model/denoiser.h"
#include "model/lora/lora_match.h"
#include "model/lora/row_adapters.h"

namespace stepcast::model {

struct LoadedLora {
  std::vector<std::shared_ptr<const NetworkAdapter>> networks;  // by the targets; null: unchanged
  int64_t bytes = 0;
};

// Reads `matches` (MatchLora of `targets`) in float32, takes alpha / r and lora_mid into the two matrices, and converts
// them to what each network computes in, on `device`. Throws c10::Error when the device fails. Errors: of reading;
// INVALID_ARGUMENT naming a layer with values that are not finite.
absl::StatusOr<LoadedLora> LoadLora(const LoraFile& file, const std::vector<LoraMatch>& matches,
                                    const LoraTargets& targets, c10::Device device);

// Whether every number of the file is finite. Errors: as LoadLora.
absl::Status CheckNumbers(const LoraFile& file);

// What LoRAs can change in a model of these parts: the denoiser, then each text encoder; null: nothing.
std::shared_ptr<const LoraTargets> LoraTargetsOf(const Denoiser& denoiser, const Conditioner& conditioner);

// What a row with `matches` costs more than one without, as a share of it: the multiplications of the low-rank products
// over those of the layers, each at the size of its level, counted twice because narrow products wait for memory.
double LoraCost(const std::vector<LoraMatch>& matches, const LoraTargets& targets);

}  // namespace stepcast::model

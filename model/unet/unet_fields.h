#pragma once
// Fields that the configs of all U-Nets share. Each remembers what is wrong in `json`; nothing here fails.

#include <string>

#include "absl/strings/string_view.h"
#include "model/files/json_config.h"
#include "model/layers/activation.h"
#include "model/unet/unet_config.h"

namespace stepcast::model {

// Sets what follows each resnet of `block`, and its resampler, from the name of its class ("AttnDownBlock2D").
void SetDownType(const std::string& name, JsonConfig& json, UNetBlockConfig& block);
void SetUpType(const std::string& name, JsonConfig& json, UNetBlockConfig& block);

// Whether block.channels divide into block.heads.
void CheckHeads(const UNetBlockConfig& block, JsonConfig& json);

// Whether the channels of every block divide into norm_num_groups.
void CheckGroups(const UNetConfig& config, JsonConfig& json);

// `name`, the value of `key`, as an activation.
Activation ReadActivation(JsonConfig& json, absl::string_view key, const std::string& name);

// sample_size: one side, or [height, width].
void ReadSampleSize(JsonConfig& json, UNetConfig& config);

}  // namespace stepcast::model

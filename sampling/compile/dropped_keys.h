#pragma once
// Which settings of a model's scheduler_config.json a sampler does not know.

#include <string_view>
#include <vector>

#include "core/sampling_types.h"

namespace stepcast::sampling {

// Keys of the file, set to another value than their class's default, that the diffusers class of `sampler` does not
// have, so that it paints as if they were not there. Left out are what only says how one family of solvers counts its
// steps (steps_offset, set_alpha_to_one, skip_prk_steps): every Stable Diffusion file has them, and no other sampler
// misses them.
std::vector<std::string_view> DroppedKeys(const NoiseScheduleConfig& config, Sampler sampler);

}  // namespace stepcast::sampling

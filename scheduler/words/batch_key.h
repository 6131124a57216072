#pragma once
// Which jobs may share one forward.

#include <compare>
#include <string>
#include <utility>

#include "scheduler/words/phase.h"

namespace stepcast {

// Jobs with equal keys can be rows of one forward in the key's phase. Not in it, on purpose: seed, position,
// step count, sampler, guidance value, guidance on or off, prompt.
struct BatchKey {
  Phase phase = Phase::kDenoise;
  std::string model = "";  // id of the stage's model
  int latent_height = 0;   // 0 in kEncode
  int latent_width = 0;    // 0 in kEncode

  friend auto operator<=>(const BatchKey&, const BatchKey&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const BatchKey& key) {
    return H::combine(std::move(h), key.phase, key.model, key.latent_height, key.latent_width);
  }

  // "denoise:emoji:16x16" (height x width); stable, for logs and golden files.
  std::string ToString() const;
};

}  // namespace stepcast

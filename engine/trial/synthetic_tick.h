#pragma once
// Throw-away work in the shapes of real ticks: what the profiler measures and the warm-up runs.

#include <cstdint>
#include <map>

#include "engine/device/device.h"
#include "model/conditioner.h"
#include "model/model_bundle.h"
#include "scheduler/words/phase.h"

namespace stepcast::engine {

// Something that the model can be asked for.
model::ConditioningInput AnyInput(const ModelInfo& info);

// The conditioning of one row for `rows` rows that ask for the same: views, because a real tick finds its rows side by
// side already.
model::Conditioning ForRows(const model::Conditioning& one, int64_t rows);

struct SyntheticTick {
  Phase phase = Phase::kDenoise;
  int latent_height = 0;  // cells; not read in kEncode
  int latent_width = 0;
  int rows = 1;          // forward rows in kDenoise, prompts in kEncode, pictures in kDecode and kPreview
  bool alone = false;    // kEncode, kPreview, kDecode: one item per forward
  int decode_chunk = 1;  // pictures per forward of the decoder
};

// Runs ticks on zeros. Touches no job, no cache of others and no random generator.
//
// Thread-safety: none; owned by one executor.
class SyntheticTicks {
 public:
  // `device` must outlive this.
  explicit SyntheticTicks(const ComputeDevice& device) : device_(device) {}

  // Runs one tick and waits for it. The first one of a model also encodes a prompt.
  // Throws what tensor code throws: call it inside TorchGuard::Run and an InferenceMode.
  void Run(const model::ModelBundle& bundle, const SyntheticTick& tick);

 private:
  void Denoise(const model::ModelBundle& bundle, const SyntheticTick& tick);

  const ComputeDevice& device_;
  std::map<const model::ModelBundle*, model::Conditioning> conditioning_;  // of one row
};

}  // namespace stepcast::engine

#pragma once
// What the ControlNets of some jobs add to the rows of one denoiser forward.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/job/active_job.h"
#include "engine/shelves/control_shelf.h"
#include "engine/step/kept_conditioning.h"
#include "engine/step/row_layout.h"
#include "model/conditioner.h"

namespace stepcast::engine {

// Rows that one net looks at go through it as one batch, whatever their jobs, hints, scales and windows in time; all
// other rows cost nothing. With `strict_rows` every forward of a net has that many rows, as those of the denoiser.
//
// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class ControlBatch {
 public:
  // `device` must outlive the batch.
  ControlBatch(const ComputeDevice& device, int strict_rows, std::shared_ptr<const ControlShelf> nets)
      : device_(device), strict_rows_(strict_rows), nets_(std::move(nets)) {}

  // What is added to the rows of `layout`, none where no job asks. `input` [>= R, >= C, h, w] float32 is the
  // denoiser's, of whose channels the first are the latents; `timesteps` [>= R].
  std::vector<model::RowResiduals> Residuals(absl::Span<const ActiveJob> jobs, const RowLayout& layout,
                                             const at::Tensor& input, const at::Tensor& timesteps);

  // Forgets the kept conditioning rows.
  void Clear() { kept_.clear(); }

 private:
  // A hint of a row.
  struct Hint {
    at::Tensor embedding;  // [c, h, w] of what the row sees
    int64_t type = 0;
    float scale = 1.0f;
  };
  // One row in front of one net.
  struct Call {
    int64_t row = 0;  // of the forward
    const Embedding* shows = nullptr;
    std::vector<Hint> hints = {};
    bool guess = false;
  };
  // Calls that go through a net together: those with equally many hints.
  using Group = std::pair<const ShelvedControlNet*, size_t>;
  using Groups = std::map<Group, std::vector<Call>>;

  void AddCalls(const ActiveJob& job, int64_t first_row, Groups& groups) const;
  const ShelvedControlNet& NetOf(const sampling::StageControl& control) const;
  model::RowResiduals Run(const ShelvedControlNet& net, absl::Span<const Call> calls, const at::Tensor& input,
                          const at::Tensor& timesteps);

  const ComputeDevice& device_;
  const int strict_rows_;
  const std::shared_ptr<const ControlShelf> nets_;
  std::map<std::string, KeptConditioning> kept_;  // by net
};

}  // namespace stepcast::engine

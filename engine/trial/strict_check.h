#pragma once
// Proves on the spot what strict mode promises, and finds a row count for which it holds.

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/shelves/control_shelf.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

// A size of latents; of {0, 0} the model's default one.
struct Cells {
  int64_t height = 0;
  int64_t width = 0;

  friend auto operator<=>(const Cells&, const Cells&) = default;
};

// Whether a row of a forward of `rows` rows is the same to the last bit wherever it stands and whatever the other rows
// hold. It depends on the libraries' kernels, the row's size and the number of threads: a vectorised loop that is cut
// in the middle of a row treats the cut's edges otherwise. Runs the denoiser three times, in forwards of `cells`.
// REQUIRES: rows >= 2. Throws what tensor code throws: call it inside TorchGuard::Run and an InferenceMode.
// `nets`: ControlNets that go with the model, which must be so, too.
bool RowsAreIndependent(const model::ModelBundle& bundle, const ComputeDevice& device, int rows,
                        absl::Span<const SharedControlNet> nets = {}, Cells cells = {});

// Row counts that are tried where the engine chooses, in this order. Fixed, never timed: replicas on equal machines
// agree. On a CPU the smallest are worth most, because a lone picture pays for no padding; a GPU wants eight rows at
// least.
absl::Span<const int> StrictCandidates(bool cpu);

// Whether rows of every model on every device are independent at `rows`; the name of one model for which they are not.
using StrictProbe = std::function<absl::StatusOr<std::optional<std::string>>(int rows)>;

// What strict mode came to.
struct StrictChoice {
  int rows = 0;          // of every forward
  bool one_job = false;  // no count passed: every forward holds one job, its row or two
  std::vector<int> failed;
};

// The first of `candidates` up to `max_rows` that passes `probe`; where none does, one job per forward, in two rows.
// Errors: the probe's.
absl::StatusOr<StrictChoice> ChooseStrictRows(absl::Span<const int> candidates, int max_rows, const StrictProbe& probe);

// OK if `rows` passes. Errors: the probe's; FAILED_PRECONDITION, naming the candidates that pass instead.
absl::Status CheckStrictRows(int rows, absl::Span<const int> candidates, int max_rows, const StrictProbe& probe);

}  // namespace stepcast::engine

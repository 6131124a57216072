#pragma once
// One job in a denoise tick.

#include "engine/denoise_state.h"
#include "sampling/row_set.h"
#include "sampling/sampling_program.h"

namespace stepcast::engine {

struct ActiveJob {
  DenoiseState* state = nullptr;                     // Begin was called
  const sampling::Evaluation* evaluation = nullptr;  // of state->program()
  const sampling::RowSet* rows = nullptr;            // that it sums; not read where nothing is predicted
};

}  // namespace stepcast::engine

#pragma once
// One job in a denoise tick.

#include "absl/types/span.h"
#include "engine/job/denoise_state.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/row_set.h"

namespace stepcast::engine {

struct ActiveJob {
  DenoiseState* state = nullptr;                     // Begin was called
  const sampling::Evaluation* evaluation = nullptr;  // of state->program()
  const sampling::RowSet* rows = nullptr;            // that it sums; not read where nothing is predicted
  // Of those rows the ones of this tick: an evaluation that does not fit a tick is summed in parts.
  int first_row = 0;
  int row_count = -1;  // -1: to the end

  int last_row() const { return row_count < 0 ? rows->size() : first_row + row_count; }  // one behind
  bool whole() const { return first_row == 0 && last_row() == rows->size(); }
  bool finishes() const { return last_row() == rows->size(); }
  absl::Span<const sampling::Row> own_rows() const {
    return absl::MakeConstSpan(rows->rows)
        .subspan(static_cast<size_t>(first_row), static_cast<size_t>(last_row() - first_row));
  }
};

}  // namespace stepcast::engine

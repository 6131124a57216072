#pragma once
// Runs a recording again and compares.

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/recording/recording_reader.h"
#include "scheduler/words/phase.h"

namespace stepcast::simulate {

// How far measured ticks were from what the cost model had expected: |predicted - measured| / measured.
struct PredictionError {
  int64_t ticks = 0;  // with an expectation
  double p50 = 0;
  double p90 = 0;
};

struct ReplayReport {
  int64_t events = 0;
  int64_t jobs = 0;
  int64_t plans = 0;            // compared and equal
  absl::Duration span = {};     // from the first event to the last
  bool complete = false;        // the recorder ended the file itself
  std::string divergence = {};  // "" when every plan was made again; else the first that was not, in two lines
  std::map<Phase, PredictionError> prediction = {};  // of the recorded run; phases without an expectation are absent

  bool exact() const { return divergence.empty(); }
};

// Builds the scheduler that the header describes, repeats every call with its time, and compares every plan: id,
// key, jobs and their order, rows, group, evictions and the predicted cost. Stops at the first difference.
// Errors: those of RecordingReader::Next; INVALID_ARGUMENT for a run that no scheduler can have had.
absl::StatusOr<ReplayReport> Replay(RecordingReader& recording);

// For people: a few lines, the last says whether the run was reproduced.
std::string ToText(const ReplayReport& report);

// One JSON object; keys in tools/simulate/README.md.
std::string ToJson(const ReplayReport& report);

}  // namespace stepcast::simulate

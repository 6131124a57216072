#pragma once
// A recorded run of one StepScheduler: everything that went into it and every plan that came out, so that the run
// can be repeated exactly (tools/simulate, `replay`) or its arrivals be used again under other policies.
//
// Not in it, on purpose: prompts and their tokens, seeds, pictures, addresses. In it: sizes, steps, samplers and
// guidance values of requests, priorities, tenant names, times.
//
// The file is text, one event a line, so that a cut or damaged file is found at its line and a person can read it;
// words that repeat (batch keys, programs, request settings) are named once. docs/scheduling.md shows one.
//
//   stepcast-recording 3                           the version; a reader takes 1 to 3
//   <name> <value>...                              header lines, see RecordingHeader
//   begin <time>                                   ends the header
//   K <n> <phase> <model> <height> <width>         from now on key <n>
//   J <n> <steps> {<phase> <model> <height> <width> <rows>[+<beside>] <count> <step> <per step>}...
//                                                  from now on work <n>: the items of its WorkList
//   R <n> <field>=<value>...                       from now on request settings <n>; previews=network: not by a matrix
//   S <dt> <job> R<n> J<n> <image> <arrival> <deadline> <encodes>  submitted; times count from now; items of its work
//                                                  that are to be encoded: 0,5, or - for none
//   H <dt> <job> <encodes>                         only these are, after all
//   X <dt> R<n> J<n> <image> <arrival> <deadline> <code>           refused with this status code; the rest as for S
//   L <dt> <job> <code>                            told to leave with this status code
//   P <dt> <plan> K<n> <rows> <jobs> <predicted> [p<parts>] [g<jobs>] [e<jobs>]     planned; p: <job>:<first
//   row>+<rows>
//                                                  of evaluations that are split, with commas; g: group, e: evicted
//   C <dt> <plan> [<index>:<code|NO_IMAGE|MISSING>]...             completed; jobs that are not named did well
//   W 0 K<n> <rows>:<cost>...                      a cost curve was measured
//   M 0 K<n> <rows>                                no more than these rows fit the memory
//   E <events> <hash>                              the regular end: FNV-1a over all bytes before this line
//
// Version 1 and 2 know one encode, one size and one model a job: in place of J there is
//   A <n> <steps> [<count>*]<step gain>,<rows>...  from now on program <n>: its evaluations, run-length coded
// S ends with e or -, H ends with the job, and version 1 has no H.
//
// Events are in the order in which the scheduler was told, which is that of its lock (docs/threads.md). <dt> counts
// from the event before and may be negative: a plan's completion carries the end of its tick, and what came meanwhile
// is handed over first. Times and durations are nanoseconds with .25, .5 or .75 where needed (absl's resolution), "inf"
// or "-inf". <jobs> is the first id, then the signed difference to each next: 3+1+5.

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/decide/policy.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"
#include "scheduler/words/step_plan.h"

namespace stepcast {

inline constexpr int kRecordingVersion = 3;

// What the scheduler was made with.
struct RecordingHeader {
  PolicyOptions policy = {};
  ExecutorLimits limits = {};
  std::map<std::string, double> tenant_weights = {};
  std::vector<CostEntry> initial_costs = {};
  std::string fingerprint = "";  // of the cost cache: model, device, dtype, threads
  absl::Time begin = absl::UnixEpoch();
};

// How one job of a completed plan did.
enum class RecordedResult { kOk, kNoImage, kMissing, kFailed };

struct RecordedSubmit {
  JobId job;
  JobSpec spec;  // without a sink, prompt, seed or program; equal settings share one request, equal work one list
  std::vector<int> to_encode;  // items of its work
};
struct RecordedEncodeOnly {
  JobId job;
  std::vector<int> to_encode;
};
// A picture that was not let in. With several devices another one may have taken it: then that one's recording has it,
// with the same arrival. No input of a scheduler, but traffic all the same.
struct RecordedRefusal {
  JobSpec spec;  // as that of RecordedSubmit
  absl::StatusCode code = absl::StatusCode::kResourceExhausted;
};
struct RecordedLeave {
  JobId job;
  absl::StatusCode code = absl::StatusCode::kCancelled;
};
struct RecordedPlan {
  StepPlan plan;
};
struct RecordedComplete {
  struct Result {
    RecordedResult kind = RecordedResult::kOk;
    absl::StatusCode code = absl::StatusCode::kOk;  // of kFailed
  };
  int64_t plan = 0;
  std::map<int, Result> exceptions;  // index in the plan -> what went wrong
};
struct RecordedCurve {
  BatchKey key;
  std::vector<CostPoint> points;
};
struct RecordedRowCap {
  BatchKey key;
  int rows = 0;
};

struct RecordedEvent {
  absl::Time at;
  std::variant<RecordedSubmit, RecordedEncodeOnly, RecordedRefusal, RecordedLeave, RecordedPlan, RecordedComplete,
               RecordedCurve, RecordedRowCap>
      what;
};

}  // namespace stepcast
